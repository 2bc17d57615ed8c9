#include "coordinator/policy/placement.h"

#include <algorithm>

namespace overwinter::policy {

void describe(const MachineInfo& machine, DeviceIndex device, Candidate& candidate) {
  candidate.host_id = machine.host_id;
  candidate.network = machine.network;
  candidate.address = machine.peer_address;
  candidate.address = candidate.address.substr(0, candidate.address.rfind(':'));
  candidate.shared_network = machine.shared_network;
  candidate.no_exec = machine.no_exec;
  candidate.host = machine.host;
  candidate.device = &machine.devices[device];
}

SeatSize seat_size(const Demand& demand, const DeviceInfo& device) {
  SeatSize size;
  const bool whole = demand.memory_bytes == 0 && demand.runs_user_code;
  size.memory_bytes = whole ? device.memory_bytes : demand.memory_bytes;
  size.threads = demand.threads == 0 ? device.threads : demand.threads;
  __extension__ typedef unsigned __int128 Wide;
  const auto part = [](std::uint64_t of, std::uint64_t all) -> std::uint64_t {
    if (all == 0) return of == 0 ? 0 : 1'000'000;
    return static_cast<std::uint64_t>(
        std::min<Wide>(1'000'000, static_cast<Wide>(of) * 1'000'000 / all));
  };
  const std::uint64_t share =
      std::max(part(size.memory_bytes, device.memory_bytes), part(size.threads, device.threads));
  size.share_ppm = static_cast<std::uint32_t>(std::max<std::uint64_t>(share, 1));
  return size;
}

Verdict could_hold(const Want& want, const Candidate& candidate) {
  const Demand& demand = *want.demand;
  const DeviceInfo& device = *candidate.device;
  if (candidate.projects != nullptr && !candidate.projects->empty() &&
      std::find(candidate.projects->begin(), candidate.projects->end(), want.project) ==
          candidate.projects->end()) {
    return {Why::kProject};
  }
  if ((candidate.spot && demand.spot == SpotUse::kNever) ||
      (!candidate.spot && demand.spot == SpotUse::kOnly)) {
    return {Why::kSpot};
  }
  if (demand.runs_user_code && !candidate.no_exec.empty()) return {Why::kNoExec};
  const HostSize& host = demand.host;
  if (candidate.host.memory_bytes < host.memory_bytes)
    return {Why::kHostMemory, candidate.host.memory_bytes, host.memory_bytes};
  if (candidate.host.cpus < host.cpus) return {Why::kHostCpus, candidate.host.cpus, host.cpus};
  if (!suits(demand.device_kind, device)) return {Why::kKind};
  const SeatSize size = seat_size(demand, device);
  if (size.memory_bytes > device.memory_bytes) {
    return {Why::kMemoryTotal, device.memory_bytes, size.memory_bytes};
  }
  if (size.threads > device.threads) return {Why::kThreadsTotal, device.threads, size.threads};
  return {};
}

Verdict can_hold(const Want& want, const Candidate& candidate) {
  const Verdict verdict = could_hold(want, candidate);
  if (!verdict.fits()) return verdict;
  if (!candidate.not_ready.empty()) return {Why::kNotReady};
  if (candidate.avoided) return {Why::kAvoided};
  if (candidate.held) return {Why::kHeld};
  if (want.demand->transport == Transport::kGang) {
    if (candidate.other_project) return {Why::kOtherProject};
    if (candidate.network_taken) return {Why::kNetworkTaken};
  }
  const DeviceInfo& device = *candidate.device;
  const SeatSize size = seat_size(*want.demand, device);
  const std::uint64_t memory_free =
      device.memory_bytes - std::min(device.memory_bytes, candidate.memory_used);
  if (size.memory_bytes > memory_free) return {Why::kMemoryFree, memory_free, size.memory_bytes};
  const std::uint32_t threads_free =
      device.threads - std::min(device.threads, candidate.threads_used);
  if (size.threads > threads_free) return {Why::kThreadsFree, threads_free, size.threads};
  const std::uint32_t share_free = 1'000'000 - std::min(1'000'000U, candidate.share_used_ppm);
  if (size.share_ppm > share_free) return {Why::kShareFree, share_free, size.share_ppm};
  return {};
}

Score score(const Candidate& candidate) {
  const double speed = std::max(candidate.device->gflops_fp32, candidate.device->gflops_fp64);
  return {static_cast<std::uint8_t>(is_gpu(*candidate.device) ? 1 : 0),
          candidate.price_per_hour.micros,
          -static_cast<std::int64_t>(std::clamp(speed, 0.0, 1e12) * 1000.0), candidate.worker,
          candidate.index};
}

Rank rank(const Demand& demand, JobId job, bool growing) {
  return {static_cast<std::uint8_t>(growing ? 1 : 0), -static_cast<int>(demand.priority), job};
}

}  // namespace overwinter::policy
