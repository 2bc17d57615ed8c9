// Device: one device's budget, threads, kernels and executor thread (ComputePool: all of a
// worker's).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/domain/device.h"
#include "worker/kernels/gemm.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {

class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual const DeviceInfo& info() const = 0;
  // The budget that its seats share.
  [[nodiscard]] virtual LimitingResource& memory() = 0;
  // For the executor thread alone.
  [[nodiscard]] virtual GemmBackend& gemm() = 0;
  // Runs the task on the executor thread, in order. Thread-safe; never blocks. Tasks are bounded by
  // the seats of the device: each posts one at a time.
  virtual void post(std::function<void()> task) = 0;
};

// A processor's cores. Starts its threads; measures nothing yet.
[[nodiscard]] std::unique_ptr<Device> make_cpu_device(std::uint64_t memory_bytes,
                                                      std::uint32_t threads, DeviceIndex index);
// Runs a short product of each precision (about `seconds` together) and notes the speeds in info().
void measure(Device& device, double seconds);
// The processor's name as the system says it; "cpu" when it does not.
[[nodiscard]] std::string cpu_model();

using ComputePool = std::vector<std::unique_ptr<Device>>;

}  // namespace overwinter::worker
