// What a daemon can say of its machine when it is asked (`overwinter doctor`).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "worker/runtime/gang_order.h"

namespace overwinter::worker {

struct DiskSpace {
  std::uint64_t free_bytes = 0;  // that an unprivileged program may take
  std::uint64_t total_bytes = 0;
};
// Of the file system that `folder` lies in. Zeros where there is no such folder.
[[nodiscard]] DiskSpace space_in(const std::filesystem::path& folder);
// The same for a folder that may still be to be made: where it would lie.
[[nodiscard]] DiskSpace space_for(std::filesystem::path folder);

// Why no rank of Open MPI can run here, in a sentence; empty: one can.
[[nodiscard]] std::string why_no_open_mpi(const GangPrograms& programs);

}  // namespace overwinter::worker
