#include "coordinator/runtime/admission.h"

#include "coordinator/telemetry/refusal_limiter.h"

namespace overwinter::runtime {

std::optional<Admission::Entry> Admission::enter(const std::string& address) {
  const std::string name = telemetry::network_of(address);
  const MutexLock lock(mutex_);
  const auto of_same = networks_.find(name);
  const bool none = of_same == networks_.end();
  if (!none && of_same->second.open >= limits_.of_an_address_max) {
    ++counts_.of_address;
    return std::nullopt;
  }
  Entry entry;
  if (full()) {
    entry.displaced = who_makes_room(none ? 0 : of_same->second.unknown.size());
    if (!entry.displaced) {
      ++counts_.full;
      return std::nullopt;
    }
    ++counts_.displaced;
    remove(*entry.displaced);
  }
  entry.id = ++last_;
  const auto network = networks_.try_emplace(name).first;
  ++network->second.open;
  open_.emplace(entry.id, Connection{network});
  add_unknown(network, entry.id);
  ++counts_.open;
  ++counts_.accepted;
  return entry;
}

void Admission::known(Id id) {
  const MutexLock lock(mutex_);
  const auto at = open_.find(id);
  if (at == open_.end() || at->second.known) return;
  at->second.known = true;
  remove_unknown(at->second.network, id);
}

void Admission::leave(Id id) {
  const MutexLock lock(mutex_);
  remove(id);
}

void Admission::remove(Id id) {
  const auto at = open_.find(id);
  if (at == open_.end()) return;
  const auto network = at->second.network;
  if (!at->second.known) remove_unknown(network, id);
  open_.erase(at);
  --counts_.open;
  if (--network->second.open == 0) networks_.erase(network);
}

bool Admission::full() const {
  return counts_.open >= limits_.connections_max || unknown_ >= limits_.unknown_max;
}

std::optional<Admission::Id> Admission::who_makes_room(std::size_t unknown) const {
  if (by_unknown_.empty()) return std::nullopt;
  const auto& [most, name] = *by_unknown_.rbegin();
  if (most <= unknown + 1) return std::nullopt;
  return *networks_.at(name).unknown.begin();
}

void Admission::add_unknown(Networks::iterator network, Id id) {
  auto& [name, of_it] = *network;
  by_unknown_.erase({of_it.unknown.size(), name});
  of_it.unknown.insert(id);
  by_unknown_.emplace(of_it.unknown.size(), name);
  ++unknown_;
}

void Admission::remove_unknown(Networks::iterator network, Id id) {
  auto& [name, of_it] = *network;
  by_unknown_.erase({of_it.unknown.size(), name});
  of_it.unknown.erase(id);
  if (!of_it.unknown.empty()) by_unknown_.emplace(of_it.unknown.size(), name);
  --unknown_;
}

bool Admission::crowded() const {
  const MutexLock lock(mutex_);
  return counts_.open * 4 >= limits_.connections_max * 3 || unknown_ * 4 >= limits_.unknown_max * 3;
}

void Admission::ended_late() {
  const MutexLock lock(mutex_);
  ++counts_.late;
}

void Admission::ended_greedy() {
  const MutexLock lock(mutex_);
  ++counts_.greedy;
}

ConnectionCounts Admission::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

}  // namespace overwinter::runtime
