// WaitingIndex: jobs that want seats, grouped by what a seat of theirs needs. If one job of a group
// does not fit somewhere, none of the group does, so a search looks at one job a group. Not
// synchronised.
#pragma once

#include <map>
#include <set>
#include <string>

#include "common/domain/demand.h"
#include "coordinator/policy/placement.h"

namespace overwinter::core {

// All that decides where a seat may lie.
struct Shape {
  std::string device_kind;
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  SpotUse spot = SpotUse::kAllowed;
  std::string project;
  // Of a gang: one of four seats may wait where one of two can start.
  std::uint32_t gang_seats_min = 0;
  std::uint32_t seats_per_worker = 0;
  bool runs_user_code = false;
  HostSize host = {};
  friend auto operator<=>(const Shape&, const Shape&) = default;
};

[[nodiscard]] inline Shape shape_of(const Demand& demand, const std::string& project) {
  Shape shape{demand.device_kind, demand.memory_bytes, demand.threads, demand.spot, project};
  if (demand.transport == Transport::kGang) {
    shape.gang_seats_min = demand.seats_min;
    shape.seats_per_worker = demand.seats_per_worker;
    shape.runs_user_code = demand.runs_user_code;
    shape.host = demand.host;
  }
  return shape;
}

class WaitingIndex {
 public:
  using Groups = std::map<Shape, std::set<policy::Rank>>;

  void put(const Shape& shape, policy::Rank rank) {
    if (const auto it = where_.find(rank.job); it != where_.end()) {
      if (it->second.rank == rank && it->second.group->first == shape) return;
      remove(rank.job);
    }
    const auto group = groups_.try_emplace(shape).first;
    unhead(group);
    group->second.insert(rank);
    head(group);
    where_.emplace(rank.job, Place{rank, group});
  }
  void remove(JobId job) {
    const auto it = where_.find(job);
    if (it == where_.end()) return;
    const auto group = it->second.group;
    unhead(group);
    group->second.erase(it->second.rank);
    where_.erase(it);
    if (group->second.empty()) {
      groups_.erase(group);
    } else {
      head(group);
    }
  }
  void clear() {
    heads_.clear();
    groups_.clear();
    where_.clear();
  }
  [[nodiscard]] bool contains(JobId job) const { return where_.contains(job); }
  [[nodiscard]] const Groups& groups() const { return groups_; }
  [[nodiscard]] std::size_t size() const { return where_.size(); }
  // The best of each group, best first.
  [[nodiscard]] const std::map<policy::Rank, Groups::const_iterator>& heads() const {
    return heads_;
  }

 private:
  struct Place {
    policy::Rank rank;
    Groups::iterator group;
  };
  void unhead(Groups::iterator group) {
    if (!group->second.empty()) heads_.erase(*group->second.begin());
  }
  void head(Groups::iterator group) { heads_.emplace(*group->second.begin(), group); }

  Groups groups_;
  std::map<JobId, Place> where_;
  std::map<policy::Rank, Groups::const_iterator> heads_;
};

}  // namespace overwinter::core
