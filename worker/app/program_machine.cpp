#include "worker/app/program_machine.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/log.h"
#include "worker/gpus/gpu_count.h"

namespace overwinter::worker {

ProgramSite program_site(const Options& options, const Settings& settings, const GangPlaces& places,
                         MachineDevices machine) {
  ProgramSite site;
  site.devices = std::move(machine.devices);
  site.gpus = machine.gpus;
  site.own_pid_numbers = gpus::numbers_are_ours();
  site.places = places;
  site.kept = places.jobs / ("kept-" + places.cluster);
  site.uids = places.sockets / "uids";
  std::error_code failed;
  site.keeper =
      std::filesystem::read_symlink("/proc/self/exe", failed).parent_path() / "overwinter-keeper";
  site.mounts = options.allow_mounts;
  site.memory_prefix =
      "overwinter-" + places.cluster + "-w" + std::to_string(settings.worker) + "-";
  if (options.no_exec) {
    // Here, not only in what the coordinator is told: an offer of such a seat is refused.
    site.confinement.why_not = "--no-exec";
    return site;
  }
  site.confinement = exec::can_confine({(options.data_dir / "identity").string()});
  site.memory = exec::detect_memory_support();
  if (!exec::sweep_groups(site.memory, site.memory_prefix))
    log_warning("processes of earlier jobs do not end");
  if (!site.confinement.can()) {
    log_info("runs no programs of users: {}", site.confinement.why_not);
  } else {
    log_info("programs of users: {}, memory by {}", site.confinement.describe(),
             site.memory.describe());
  }
  return site;
}

}  // namespace overwinter::worker
