// What a machine has for the user's own programs: where they live, what holds them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "worker/exec/confinement.h"
#include "worker/exec/memory_limit.h"
#include "worker/exec/mounts.h"
#include "worker/runtime/gang_folder.h"

namespace overwinter::worker {

struct ProgramSite {
  GangPlaces places;             // an attempt's folder: JOBS/CLUSTER/JOB-ATTEMPT-wWORKER-program
  std::filesystem::path kept;    // setups and caches, from job to job; passable for other users
  std::filesystem::path uids;    // locks of user ids, one folder for all daemons of the machine
  std::filesystem::path keeper;  // overwinter-keeper
  exec::MemorySupport memory;
  exec::ConfinementSupport confinement;
  std::vector<exec::AllowedMount> mounts;
  std::string memory_prefix;  // of the names of this daemon's memory groups
};

}  // namespace overwinter::worker
