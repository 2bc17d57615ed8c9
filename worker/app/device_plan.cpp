#include "worker/app/device_plan.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "common/base/bytes.h"

namespace overwinter::worker {
namespace {

std::vector<DeviceSpec> or_all(const std::vector<DeviceSpec>& wishes) {
  if (!wishes.empty()) return wishes;
  DeviceSpec gpus;
  gpus.gpu = true;
  return {DeviceSpec(), gpus};
}

bool is_named(const std::vector<DeviceSpec>& wishes, const std::string& uuid) {
  return std::ranges::any_of(wishes, [&](const DeviceSpec& w) { return w.gpu && w.uuid == uuid; });
}

std::uint64_t whole_mib_below(std::uint64_t bytes) {
  return bytes / kMiB * kMiB;
}

PlannedDevice planned(const DeviceSpec& wish, const gpus::Gpu& gpu,
                      std::vector<std::string>& missing) {
  PlannedDevice out{.memory_bytes = wish.memory_bytes,
                    .threads = wish.threads,
                    .gpu = gpu,
                    .host_memory_bytes = wish.host_memory_bytes};
  const std::uint64_t usable = whole_mib_below(gpu.memory_bytes - gpu.reserved_bytes);
  if (wish.memory_bytes > usable)
    missing.push_back(fmt::format("--device asks for {} of {} ({}), which has {}",
                                  format_bytes(wish.memory_bytes), gpu.uuid, gpu.name,
                                  format_bytes(usable)));
  if (wish.memory_bytes == 0 || wish.memory_bytes > usable) out.memory_bytes = usable;
  return out;
}

// The machine's memory that a device takes: its budget, or beside a GPU.
std::uint64_t& machine_memory(PlannedDevice& device) {
  return device.gpu ? device.host_memory_bytes : device.memory_bytes;
}

}  // namespace

HostSize machine_size() {
  return {static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
              static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)),
          std::max(1U, std::thread::hardware_concurrency())};
}

std::vector<gpus::Gpu> wished_gpus(const std::vector<DeviceSpec>& wishes,
                                   const std::vector<gpus::Gpu>& found) {
  const std::vector<DeviceSpec> all = or_all(wishes);
  const bool unnamed =
      std::ranges::any_of(all, [](const DeviceSpec& w) { return w.gpu && w.uuid.empty(); });
  std::vector<gpus::Gpu> out;
  for (const gpus::Gpu& gpu : found)
    if (unnamed || is_named(all, gpu.uuid)) out.push_back(gpu);
  return out;
}

DevicePlan plan_devices(const std::vector<DeviceSpec>& wishes, const std::vector<gpus::Gpu>& gpus,
                        const std::string& why_none, const HostSize& machine) {
  DevicePlan plan;
  const std::vector<DeviceSpec> all = or_all(wishes);
  const std::string why = why_none.empty() ? std::string() : ": " + why_none;
  bool others_taken = false;
  for (const DeviceSpec& wish : all) {
    const std::size_t before = plan.devices.size();
    if (!wish.gpu) {
      plan.devices.push_back({.memory_bytes = wish.memory_bytes, .threads = wish.threads});
      continue;
    }
    const bool named = !wish.uuid.empty();
    if (!named && std::exchange(others_taken, true)) {
      plan.missing.push_back("--device gpu is given twice: one stands for all that are not named");
      continue;
    }
    for (const gpus::Gpu& gpu : gpus)
      if (named ? gpu.uuid == wish.uuid : !is_named(all, gpu.uuid))
        plan.devices.push_back(planned(wish, gpu, plan.missing));
    if (plan.devices.size() == before && !wishes.empty())
      plan.missing.push_back("there is no " + (named ? wish.uuid : std::string("GPU")) +
                             " to offer here" + why);
  }
  if (plan.devices.size() > kDevicesOfWorkerMax) {
    plan.missing.push_back(fmt::format("a worker offers at most {} devices", kDevicesOfWorkerMax));
    plan.devices.resize(kDevicesOfWorkerMax);
  }
  std::uint64_t open_memory = 0;
  std::uint32_t open_threads = 0;
  for (PlannedDevice& device : plan.devices) {
    open_memory += machine_memory(device) == 0 ? 1 : 0;
    open_threads += device.threads == 0 ? 1 : 0;
  }
  for (PlannedDevice& device : plan.devices) {
    if (machine_memory(device) == 0)
      machine_memory(device) = whole_mib_below(machine.memory_bytes / 10 * 8 / open_memory);
    if (device.threads == 0) device.threads = std::max(1U, machine.cpus / open_threads);
  }
  return plan;
}

}  // namespace overwinter::worker
