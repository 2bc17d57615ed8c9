// What this machine has for the user's own programs, looked at once, at the daemon's start.
#pragma once

#include <vector>

#include "worker/app/options.h"
#include "worker/app/settings.h"
#include "worker/programs/program_site.h"

namespace overwinter::worker {

// The worker's devices, as programs get them.
struct MachineDevices {
  std::vector<ProgramDevice> devices;
  const gpus::Gpus* gpus = nullptr;  // outlives all that runs
};

// May move this process into a group of its own (worker/exec/memory_limit.h), and ends what an
// earlier daemon with this data folder left running. confinement.why_not: why it runs no program of
// users.
[[nodiscard]] ProgramSite program_site(const Options& options, const Settings& settings,
                                       const GangPlaces& places, MachineDevices machine);

}  // namespace overwinter::worker
