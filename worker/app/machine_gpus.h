// MachineGpus: the GPUs of this machine that this daemon offers, found once, at its start.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "worker/app/device_plan.h"
#include "worker/gpus/gpu_claim.h"
#include "worker/gpus/gpu_nodes.h"
#include "worker/gpus/gpus.h"
#include "worker/programs/program_site.h"

namespace overwinter::worker {

class MachineGpus {
 public:
  // Loads the driver's library, where there is one; says in the log what it found.
  MachineGpus();

  // Takes those that the wishes ask for, and no other worker of this machine offers, and programs
  // may open. May be called again: what it has it keeps.
  void claim(const std::vector<DeviceSpec>& wishes);

  [[nodiscard]] const gpus::Gpus& found() const { return found_; }
  [[nodiscard]] const std::vector<gpus::Gpu>& offered() const { return offered_; }
  // Why it offers none of those it was asked for.
  [[nodiscard]] const std::string& why_none() const { return why_none_; }

  // The devices of a plan made of offered() ones, as programs get them.
  [[nodiscard]] std::vector<ProgramDevice> program_devices(const DevicePlan& plan) const;

 private:
  const gpus::Gpus found_;
  std::map<std::string, gpus::GpuClaim> claims_;  // by UUID
  std::map<std::string, gpus::GpuNodes> nodes_;   // of those
  std::vector<gpus::Gpu> offered_;
  std::string why_none_;
};

}  // namespace overwinter::worker
