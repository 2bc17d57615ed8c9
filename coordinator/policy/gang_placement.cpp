#include "coordinator/policy/gang_placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace overwinter::policy {
namespace {

// A worker that could take part, with its devices, best first.
struct Member {
  std::vector<Score> devices;
  std::string_view host_id;
  std::string_view address;
};
using Group = std::map<WorkerId, Member>;

struct Ranked {
  std::vector<const Member*> members;  // best first
  std::size_t gpus = 0;
  std::int64_t price_micros = 0;
  // Of two of the same size.
  [[nodiscard]] auto cost() const { return std::tuple(gpus, price_micros); }
};

// Of hosts that share an address the one with the most members stays; of equals the one with the
// best.
void one_host_an_address(std::vector<const Member*>& members) {
  using Hosts = std::map<std::string_view, std::size_t>;  // host_id -> members
  std::map<std::string_view, Hosts> hosts;
  for (const Member* m : members) ++hosts[m->address][m->host_id];
  std::map<std::string_view, std::string_view> stays;
  for (const Member* m : members) {
    const Hosts& rivals = hosts[m->address];
    const auto [at, first] = stays.try_emplace(m->address, m->host_id);
    if (!first && rivals.at(m->host_id) > rivals.at(at->second)) at->second = m->host_id;
  }
  std::erase_if(members, [&](const Member* m) {
    return !m->address.empty() && stays[m->address] != m->host_id;
  });
}

Ranked best_of(const Group& group, std::size_t seats_per_worker, std::size_t workers_max) {
  Ranked ranked;
  for (const auto& [id, member] : group) {
    if (member.devices.size() >= seats_per_worker) ranked.members.push_back(&member);
  }
  std::stable_sort(
      ranked.members.begin(), ranked.members.end(),
      [](const Member* a, const Member* b) { return a->devices.front() < b->devices.front(); });
  one_host_an_address(ranked.members);
  if (ranked.members.size() > workers_max) ranked.members.resize(workers_max);
  for (const Member* member : ranked.members) {
    for (std::size_t i = 0; i < seats_per_worker; ++i) {
      ranked.gpus += member->devices[i].gpu;
      ranked.price_micros += member->devices[i].price_micros;
    }
  }
  return ranked;
}

}  // namespace

void mark_taken(const std::vector<TakenWorker>& taken, std::vector<Candidate>& candidates) {
  std::set<WorkerId> workers;
  std::map<std::string_view, bool> networks;  // -> all workers of those gangs there share it
  for (const TakenWorker& one : taken) {
    workers.insert(one.worker);
    if (one.network.empty()) continue;
    const auto [at, added] = networks.try_emplace(one.network, true);
    at->second = at->second && one.shared_network;
  }
  for (Candidate& candidate : candidates) {
    candidate.other_project = workers.contains(candidate.worker);
    const auto at = networks.find(candidate.network);
    if (at == networks.end()) continue;
    candidate.network_taken = !(at->second && candidate.shared_network);
  }
}

GangChoice choose_gang(const Want& want, const std::vector<Candidate>& candidates) {
  const Demand& demand = *want.demand;
  const std::size_t per_worker = std::max(1U, demand.seats_per_worker);
  const std::size_t workers_min = std::max<std::size_t>(1, demand.seats_min / per_worker);
  const std::size_t workers_max = std::max<std::size_t>(workers_min, demand.seats_max / per_worker);
  // By network, and by host: workers of one host need no network between them.
  std::map<std::pair<int, std::string_view>, Group> groups;
  Group all;
  for (const Candidate& c : candidates) {
    if (!can_hold(want, c).fits()) continue;
    const auto put = [&c](Group& group) {
      Member& member = group[c.worker];
      member.host_id = c.host_id;
      member.address = c.address;
      member.devices.push_back(score(c));
    };
    put(all);
    put(groups[{1, c.host_id}]);
    if (!c.network.empty() && !c.address.empty()) put(groups[{0, c.network}]);
  }
  const auto sort_devices = [](Group& group) {
    for (auto& [id, member] : group) std::sort(member.devices.begin(), member.devices.end());
  };
  GangChoice choice;
  choice.workers_fit =
      static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& m) {
        return m.second.devices.size() >= per_worker;
      }));
  Ranked best;
  for (auto& [key, group] : groups) {
    sort_devices(group);
    Ranked ranked = best_of(group, per_worker, workers_max);
    const bool more = ranked.members.size() > best.members.size();
    const bool cheaper =
        ranked.members.size() == best.members.size() && ranked.cost() < best.cost();
    if (more || cheaper) best = std::move(ranked);
  }
  choice.workers = best.members.size();
  if (best.members.size() < workers_min) return choice;
  std::stable_sort(best.members.begin(), best.members.end(), [](const Member* a, const Member* b) {
    return std::tuple(a->host_id, a->devices.front().worker) <
           std::tuple(b->host_id, b->devices.front().worker);
  });
  for (const Member* member : best.members) {
    std::vector<Score> devices(member->devices.begin(),
                               member->devices.begin() + static_cast<std::ptrdiff_t>(per_worker));
    std::sort(devices.begin(), devices.end(),
              [](const Score& a, const Score& b) { return a.device < b.device; });
    choice.seats.insert(choice.seats.end(), devices.begin(), devices.end());
  }
  return choice;
}

}  // namespace overwinter::policy
