// What a machine has for the user's own programs: where they live, what holds them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "worker/exec/confinement.h"
#include "worker/exec/memory_limit.h"
#include "worker/exec/mounts.h"
#include "worker/gpus/gpu_nodes.h"
#include "worker/gpus/gpus.h"
#include "worker/runtime/gang_folder.h"

namespace overwinter::worker {

// One of the worker's devices, as programs get it.
struct ProgramDevice {
  std::string uuid;                     // of a GPU; empty: a processor, and the rest is empty too
  std::string kind;                     // "H100"
  gpus::GpuNodes nodes;                 // what of /dev it is
  std::uint64_t host_memory_bytes = 0;  // of the machine, for programs that have the GPU
};

struct ProgramSite {
  GangPlaces places;             // an attempt's folder: JOBS/CLUSTER/JOB-ATTEMPT-wWORKER-program
  std::filesystem::path kept;    // setups and caches, from job to job; passable for other users
  std::filesystem::path uids;    // locks of user ids, one folder for all daemons of the machine
  std::filesystem::path keeper;  // overwinter-keeper
  exec::MemorySupport memory;
  exec::ConfinementSupport confinement;
  std::vector<exec::AllowedMount> mounts;
  std::string memory_prefix;           // of the names of this daemon's memory groups
  std::vector<ProgramDevice> devices;  // by DeviceIndex; beyond it: processors
  const gpus::Gpus* gpus = nullptr;    // null: nobody watches their memory; outlives all work
  bool own_pid_numbers = false;        // gpus::numbers_are_ours()
};

}  // namespace overwinter::worker
