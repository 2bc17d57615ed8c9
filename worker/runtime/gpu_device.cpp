#include <utility>

#include "common/base/check.h"
#include "worker/memory/host_resource.h"
#include "worker/runtime/device.h"
#include "worker/runtime/executor.h"

namespace overwinter::worker {
namespace {

class GpuDevice final : public Device {
 public:
  GpuDevice(DeviceInfo info, DeviceIndex index)
      : memory_(host_, info.memory_bytes, "device " + std::to_string(index)),
        info_(std::move(info)) {}

  const DeviceInfo& info() const override { return info_; }
  // What seats reserve of the GPU's memory; nothing is allocated by it.
  LimitingResource& memory() override { return memory_; }
  void trim() override {}
  GemmBackend& gemm() override { no_kernels(); }
  ThreadTeam& team() override { no_kernels(); }
  void post(std::function<void()> task) override { executor_.post(std::move(task)); }

 private:
  [[noreturn]] static void no_kernels() {
    check_failed("this release has kernels for processors alone", std::source_location::current());
  }

  HostResource host_;
  LimitingResource memory_;
  const DeviceInfo info_;
  Executor executor_;  // last: its thread uses the rest
};

}  // namespace

std::unique_ptr<Device> make_gpu_device(DeviceInfo info, DeviceIndex index) {
  return std::make_unique<GpuDevice>(std::move(info), index);
}

}  // namespace overwinter::worker
