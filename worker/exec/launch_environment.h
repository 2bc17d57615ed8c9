// What each process of an attempt is told by its environment (INTERFACE §3, launchers): a pure
// function from where the process stands to a map. Nothing of the daemon's own is in it, and
// SLURM_* never is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker::exec {

enum class Launcher : std::uint8_t {
  kEnv = 1,       // one process a device, told by RANK, WORLD_SIZE, …
  kTorchrun = 2,  // one process a worker, told by PET_*: "torchrun train.py" needs no flags
  kMpi = 3,       // mpirun starts the ranks; told by Open MPI
  kNone = 4,      // one process a worker, told nothing
};
// The launcher's name in a job file; empty: env.
[[nodiscard]] Result<Launcher> parse_launcher(std::string_view name);

// How many processes of the user's the daemon starts on a worker.
[[nodiscard]] std::uint32_t processes_on_worker(Launcher launcher, std::uint32_t devices);

// A gang, as one of its workers sees it. Workers are numbered as the gang's plan has them; each has
// at least one device.
struct GangLayout {
  std::vector<std::uint32_t> devices;  // of each worker
  std::uint32_t worker = 0;            // this one
  std::string master_address;          // of worker 0
  std::uint16_t master_port = 0;       // new each attempt
  std::string interface;               // of this host, on the gang's network; empty: not told
  std::uint32_t threads = 1;           // of one device
  std::vector<std::string> gpus;       // UUIDs of the job's on this machine, in order; may be empty
};

struct JobNames {
  std::string job;  // resource name
  std::uint32_t attempt = 1;
  std::uint32_t retries = 0;
  std::string checkpoint_dir;  // absolute; empty: none
  std::string stop_file;       // absolute: is there once the job should stop
  std::string home;            // absolute
  std::string temporary;       // absolute
  std::string module_folder;   // holds overwinter.py; empty: none
};

using Environment = std::map<std::string, std::string>;

// Of process `local` of this worker, below processes_on_worker(). `user`: the job file's env and
// secrets; they win over the defaults (PATH, HOME, OMP_NUM_THREADS, …) but not over what says where
// a process stands: two processes told the same rank would wait for each other. PYTHONPATH keeps
// the user's folders, after ours.
[[nodiscard]] Environment launch_environment(Launcher launcher, const GangLayout& layout,
                                             const JobNames& names, const Environment& user,
                                             std::uint32_t local);

// Names that the launcher decides, for the refusal of a job file that sets one.
[[nodiscard]] bool decided_by_launcher(Launcher launcher, std::string_view name);

// Text runs by bash, a list as it is. Exactly one of the two is given.
[[nodiscard]] Result<std::vector<std::string>> command_line(const std::string& text,
                                                            const std::vector<std::string>& list);

}  // namespace overwinter::worker::exec
