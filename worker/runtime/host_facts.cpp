#include "worker/runtime/host_facts.h"

#include <unistd.h>

#include <system_error>

namespace overwinter::worker {

DiskSpace space_in(const std::filesystem::path& folder) {
  std::error_code failed;
  if (!std::filesystem::is_directory(folder, failed) || failed) return {};
  const auto space = std::filesystem::space(folder, failed);
  return failed ? DiskSpace{} : DiskSpace{space.available, space.capacity};
}

DiskSpace space_for(std::filesystem::path folder) {
  std::error_code ignored;
  while (!std::filesystem::is_directory(folder, ignored) && folder.has_relative_path()) {
    folder = folder.parent_path();
  }
  return space_in(folder);
}

std::string why_no_open_mpi(const GangPrograms& programs) {
  for (const auto& program : {programs.mpirun, programs.orted}) {
    if (::access(program.c_str(), X_OK) != 0)
      return "Open MPI is not installed: no " + program.string();
  }
  for (const auto& program : {programs.rank, programs.program_rank, programs.agent}) {
    if (::access(program.c_str(), X_OK) != 0)
      return program.filename().string() + " is missing beside overwinter-worker";
  }
  return {};
}

}  // namespace overwinter::worker
