#include "common/plan/gang_groups.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace overwinter::plan {
namespace {

// A worker's part of a gang: its first devices, processors first, then by price, then speed.
struct GangMember {
  std::size_t worker = 0;          // its place in the offer
  double flops_per_second = 0;     // of its slowest device
  double bytes_per_second = 0;     // to the coordinator
  std::size_t gpus = 0;            // among its devices
  double price_per_hour = 0;       // of its devices together, in micros
  std::uint64_t memory_bytes = 0;  // of its smallest device
};

bool comes_before(const Candidate& a, const Candidate& b) {
  return std::tuple(a.gpu, a.price_per_hour.micros, -a.flops_per_second, a.name) <
         std::tuple(b.gpu, b.price_per_hour.micros, -b.flops_per_second, b.name);
}

struct Ranked {
  GangMember member;
  bool first_gpu = false;
  std::int64_t first_price = 0;
  double first_speed = 0;
};

Ranked member_of(std::size_t worker, const std::vector<Candidate>& devices,
                 std::uint32_t per_worker) {
  Ranked out{.member = {.worker = worker,
                        .flops_per_second = devices.front().flops_per_second,
                        .bytes_per_second = devices.front().bytes_per_second,
                        .memory_bytes = devices.front().memory_bytes},
             .first_gpu = devices.front().gpu,
             .first_price = devices.front().price_per_hour.micros,
             .first_speed = devices.front().flops_per_second};
  for (std::uint32_t i = 0; i < per_worker; ++i) {
    GangMember& member = out.member;
    member.flops_per_second = std::min(member.flops_per_second, devices[i].flops_per_second);
    member.memory_bytes = std::min(member.memory_bytes, devices[i].memory_bytes);
    member.gpus += devices[i].gpu ? 1 : 0;
    member.price_per_hour += static_cast<double>(devices[i].price_per_hour.micros);
  }
  return out;
}

std::vector<GangModel> add_up(const ClusterOffer& offer, const std::vector<GangMember>& members) {
  std::vector<GangModel> sums;
  for (const GangMember& member : members) {
    GangModel sum = sums.empty() ? GangModel{.flops_per_second = member.flops_per_second,
                                             .bytes_per_second = member.bytes_per_second,
                                             .memory_bytes = member.memory_bytes}
                                 : sums.back();
    ++sum.workers;
    sum.flops_per_second = std::min(sum.flops_per_second, member.flops_per_second);
    sum.bytes_per_second = std::min(sum.bytes_per_second, member.bytes_per_second);
    sum.memory_bytes = std::min(sum.memory_bytes, member.memory_bytes);
    sum.gpus += member.gpus;
    sum.price_per_hour += member.price_per_hour;
    sum.one_host = sum.one_host && offer.workers[member.worker].host_id ==
                                       offer.workers[members.front().worker].host_id;
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace

GangGroups::GangGroups(const ClusterOffer& offer, const std::vector<Candidate>& devices,
                       std::uint64_t memory_bytes, std::uint32_t per_worker) {
  std::map<std::size_t, std::vector<Candidate>> workers;
  for (const Candidate& device : devices)
    if (device.memory_bytes >= memory_bytes) workers[device.worker].push_back(device);
  std::vector<Ranked> members;
  for (auto& [worker, of_worker] : workers) {
    if (of_worker.size() < per_worker) continue;
    std::sort(of_worker.begin(), of_worker.end(), comes_before);
    members.push_back(member_of(worker, of_worker, per_worker));
  }
  std::stable_sort(members.begin(), members.end(), [](const Ranked& a, const Ranked& b) {
    return std::tuple(a.first_gpu, a.first_price, -a.first_speed) <
           std::tuple(b.first_gpu, b.first_price, -b.first_speed);
  });
  // Networks before hosts, as the core looks at them.
  std::map<std::pair<int, std::string_view>, std::vector<GangMember>> groups;
  for (const Ranked& ranked : members) {
    const WorkerOffer& worker = offer.workers[ranked.member.worker];
    groups[{1, worker.host_id}].push_back(ranked.member);
    if (!worker.network.empty()) groups[{0, worker.network}].push_back(ranked.member);
  }
  groups_.reserve(groups.size());
  for (const auto& [key, of_group] : groups) groups_.push_back({add_up(offer, of_group)});
}

std::size_t GangGroups::largest() const {
  std::size_t most = 0;
  for (const Group& group : groups_) most = std::max(most, group.first.size());
  return most;
}

GangModel GangGroups::of(std::size_t workers) const {
  const GangModel* best = nullptr;
  for (const Group& group : groups_) {
    if (group.first.size() < workers) continue;
    const GangModel& model = group.first[workers - 1];
    const auto cost = [](const GangModel& m) { return std::tuple(m.gpus, m.price_per_hour); };
    if (best == nullptr || cost(model) < cost(*best)) best = &model;
  }
  return best == nullptr ? GangModel{} : *best;
}

std::uint64_t GangGroups::smallest_device(std::size_t workers) const {
  std::uint64_t least = 0;
  for (const Group& group : groups_) {
    if (group.first.size() < workers) continue;
    const std::uint64_t memory = group.first.back().memory_bytes;
    least = least == 0 ? memory : std::min(least, memory);
  }
  return least;
}

}  // namespace overwinter::plan
