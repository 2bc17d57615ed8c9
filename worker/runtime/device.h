// Device: one device's budget, threads, kernels and executor thread (ComputePool: all of a
// worker's). Kernels are for processors alone: a GPU is for programs of users.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/domain/device.h"
#include "worker/kernels/gemm.h"
#include "worker/kernels/gemm_choice.h"
#include "worker/kernels/thread_team.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {

class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual const DeviceInfo& info() const = 0;
  // The budget that its seats share. What seats that have ended gave back may stay warm for the
  // next, at most an eighth of the budget and 256 MiB: nobody's, and counted nowhere.
  [[nodiscard]] virtual LimitingResource& memory() = 0;
  // Gives that back to the system: before memory is charged that others will allocate. Thread-safe.
  virtual void trim() = 0;
  // For the executor thread alone. Not of a GPU (is_gpu(info())).
  [[nodiscard]] virtual GemmBackend& gemm() = 0;
  // Those that gemm() works on; the same.
  [[nodiscard]] virtual ThreadTeam& team() = 0;
  // Runs the task on the executor thread, in order. Thread-safe; never blocks. Tasks are bounded by
  // the seats of the device: each posts one at a time.
  virtual void post(std::function<void()> task) = 0;
};

// A processor's cores. Starts its threads; measures nothing yet.
[[nodiscard]] std::unique_ptr<Device> make_cpu_device(std::uint64_t memory_bytes,
                                                      std::uint32_t threads, DeviceIndex index);
// A GPU, as `info` has it: nothing runs on it but programs of users, by other means (ProgramSite).
[[nodiscard]] std::unique_ptr<Device> make_gpu_device(DeviceInfo info, DeviceIndex index);
// Runs a short product of each precision that the processor has instructions for (`seconds`
// together at most, about) and notes the speeds in info(). Does nothing for a GPU.
void measure(Device& device, double seconds);
// Multiplies from now on as `known` says for its number of threads; what it does not say of that
// and of one thread is measured, about `seconds_each` for each type of numbers
// (measure_gemm_choice) and, for its own number of threads, twice that for fp32's and fp64's
// halving (measure_strassen_side), and noted there. The answer is for the log. Does nothing for a
// GPU.
[[nodiscard]] std::string choose_gemm(Device& device, GemmChoices& known, double seconds_each);
// The processor's name as the system says it; "cpu" when it does not.
[[nodiscard]] std::string cpu_model();

using ComputePool = std::vector<std::unique_ptr<Device>>;

}  // namespace overwinter::worker
