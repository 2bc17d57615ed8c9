// Which devices a worker offers: what --device asks for, meeting what the machine has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/domain/host_size.h"
#include "worker/app/options.h"
#include "worker/gpus/gpus.h"

namespace overwinter::worker {

inline constexpr std::size_t kDevicesOfWorkerMax = 64;

[[nodiscard]] HostSize machine_size();

struct PlannedDevice {
  std::uint64_t memory_bytes = 0;  // the budget; of a GPU: of its own memory
  std::uint32_t threads = 1;
  std::optional<gpus::Gpu> gpu = {};    // nothing: the processor
  std::uint64_t host_memory_bytes = 0;  // of a GPU
};

struct DevicePlan {
  std::vector<PlannedDevice> devices;
  // What was asked for by name or number and is not so here: one sentence each.
  std::vector<std::string> missing;
};

// The GPUs that the wishes ask for. No wish at all: the processor and all GPUs.
[[nodiscard]] std::vector<gpus::Gpu> wished_gpus(const std::vector<DeviceSpec>& wishes,
                                                 const std::vector<gpus::Gpu>& found);

// `gpus`: those that may be offered; `why_none`: why it is none (empty: there was none). What a
// wish leaves open: all threads, and 80 % of the machine's memory, shared evenly by those that do
// not say, GPUs among them; of a GPU's own memory all but what its driver keeps. Pure.
[[nodiscard]] DevicePlan plan_devices(const std::vector<DeviceSpec>& wishes,
                                      const std::vector<gpus::Gpu>& gpus,
                                      const std::string& why_none, const HostSize& machine);

}  // namespace overwinter::worker
