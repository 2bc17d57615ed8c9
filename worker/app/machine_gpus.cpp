#include "worker/app/machine_gpus.h"

#include <utility>

#include "common/base/log.h"
#include "worker/exec/confinement.h"
#include "worker/gpus/gpu_kind.h"

namespace overwinter::worker {

MachineGpus::MachineGpus() : found_(gpus::Gpus::find()), why_none_(found_.why_none()) {
  for (const std::string& text : found_.left_out()) log_warning("left out: {}", text);
  if (found_.list().empty()) {
    log_info("no GPU: {}", found_.why_none());
  } else {
    log_info("GPUs: {} by NVIDIA's driver {}", found_.list().size(), found_.driver());
  }
}

void MachineGpus::claim(const std::vector<DeviceSpec>& wishes) {
  const bool own_uid = exec::can_confine({}).own_uid;
  offered_.clear();
  for (const gpus::Gpu& gpu : wished_gpus(wishes, found_.list())) {
    if (!claims_.contains(gpu.uuid)) {
      gpus::GpuNodes nodes = gpus::nodes_of(gpu, own_uid);
      auto claim = gpus::GpuClaim::take(gpu.uuid);
      if (!nodes.why_not.empty() || !claim) {
        why_none_ = claim ? nodes.why_not : claim.error().message;
        log_warning("left out: {}: {}", gpu.uuid, why_none_);
        continue;
      }
      claims_.emplace(gpu.uuid, std::move(*claim));
      nodes_.emplace(gpu.uuid, std::move(nodes));
    }
    offered_.push_back(gpu);
  }
}

std::vector<ProgramDevice> MachineGpus::program_devices(const DevicePlan& plan) const {
  std::vector<ProgramDevice> out;
  for (const PlannedDevice& device : plan.devices) {
    ProgramDevice& one = out.emplace_back();
    if (!device.gpu) continue;
    one.uuid = device.gpu->uuid;
    one.kind = gpus::gpu_kind(device.gpu->name);
    one.nodes = nodes_.at(one.uuid);
    one.host_memory_bytes = device.host_memory_bytes;
  }
  return out;
}

}  // namespace overwinter::worker
