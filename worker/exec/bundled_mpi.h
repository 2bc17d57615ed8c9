// An Open MPI that lies beside the worker's programs (deploy/bundle.sh), on machines and in images
// whose own is another or is not there.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace overwinter::worker::exec {

// What tells mpirun, orted and the ranks where their parts are, for the folder that has bin, lib,
// share and etc. Names and values.
[[nodiscard]] std::map<std::string, std::string> bundled_mpi_variables(
    const std::filesystem::path& prefix);

// One of those. A program of the user's has an Open MPI of its own, which these would lead astray.
[[nodiscard]] bool is_bundled_mpi_variable(std::string_view name);

}  // namespace overwinter::worker::exec
