#include "tests/simulation/gang_model.h"

#include <algorithm>

namespace overwinter::simulation {

using worker::GangOutcome;

GangModel::GangModel(VirtualTime& time, Random& random, const Scenario& scenario, Tell tell,
                     Store store, Frozen frozen)
    : time_(time),
      random_(random),
      scenario_(scenario),
      tell_(std::move(tell)),
      store_(std::move(store)),
      frozen_(std::move(frozen)) {}

std::uint64_t GangModel::checkpoint(JobId job) const {
  const auto found = durable_.find(job);
  return found == durable_.end() ? 0 : found->second.second;
}

Ms GangModel::active_at(JobId job) const {
  const auto found = active_at_.find(job);
  return found == active_at_.end() ? 0 : found->second;
}

void GangModel::launched(std::size_t worker, Incarnation from, const worker::LaunchGang& order,
                         std::uint64_t from_step) {
  const Key key{order.seat.job, order.seat.attempt};
  Gang& gang = gangs_[key];
  if (gang.members.empty()) {
    for (const GangMember& member : order.members) gang.members[member.seat] = {};
    gang.step = from_step;
  }
  Member& member = gang.members[order.seat];
  member = {worker, from, true, false};
  if (gang.dead) {
    exit(gang, order.seat, GangOutcome::kPeerLost);
    return;
  }
  const bool faulty = time_.now() < scenario_.faults_until;
  if (faulty && random_.chance(plans_[key.first].launch_fails)) {
    worker::GangLaunchFailed failed;
    failed.seat = order.seat;
    failed.message = "port 7610 did not answer";
    tell_(worker, from, failed);
    lose(gang, order.seat);
    exit(gang, order.seat, GangOutcome::kPeerLost);
    return;
  }
  const bool all = std::all_of(gang.members.begin(), gang.members.end(),
                               [](const auto& m) { return m.second.launched; });
  if (all) time_.after(random_.between(10, 800), [this, key] { all_up(key); });
}

void GangModel::all_up(Key key) {
  Gang& gang = gangs_[key];
  if (gang.dead) return;
  gang.up = true;
  active_at_[key.first] = time_.now();
  for (const auto& [seat, member] : gang.members) {
    tell_(member.worker, member.incarnation, worker::GangSeatUp{seat});
  }
  next_step(key);
}

void GangModel::next_step(Key key) {
  time_.after(plans_[key.first].step_ms, [this, key] { step(key); });
}

void GangModel::step(Key key) {
  Gang& gang = gangs_[key];
  if (gang.dead) return;
  const GangPlan& plan = plans_[key.first];
  const bool faulty = time_.now() < scenario_.faults_until;
  for (const auto& [seat, member] : gang.members) {
    if (!frozen_(member.worker)) continue;
    time_.after(100, [this, key] { step(key); });
    return;
  }
  if (faulty && random_.chance(plan.rank_hangs)) return;  // nothing moves any more, for ever
  if (faulty && random_.chance(plan.rank_fails)) {
    auto victim = gang.members.begin();
    std::advance(victim, random_.between(0, static_cast<std::int64_t>(gang.members.size()) - 1));
    SeatExit how;
    how.exit_code = 1;
    how.step = gang.step;
    lose(gang, victim->first);
    exit(gang, victim->first, GangOutcome::kFailed, how);
    return;
  }
  ++gang.step;
  ++gang.activity;
  active_at_[key.first] = time_.now();
  for (const auto& [seat, member] : gang.members) {
    tell_(member.worker, member.incarnation,
          worker::SeatProgressed{seat, gang.step, gang.activity});
  }
  const bool last = gang.step >= plan.steps;
  if (last || gang.stopping || gang.step % plan.checkpoint_every == 0) save(key, gang.step);
  if (!last && !gang.stopping) {
    next_step(key);
    return;
  }
  if (last) completed_.insert(key.first);
  gang.dead = true;
  for (auto& [seat, member] : gang.members) {
    const auto outcome = last ? GangOutcome::kCompleted : GangOutcome::kStopped;
    time_.after(random_.between(1, 500),
                [this, key, s = seat, outcome] { exit(gangs_[key], s, outcome); });
  }
}

// Written and sent while the steps go on; whoever writes tries again until it is kept.
void GangModel::save(Key key, std::uint64_t step) {
  time_.after(random_.between(1, 300), [this, key, step] {
    if (!store_(key.first, key.second, step)) {
      save(key, step);
      return;
    }
    auto& durable = durable_[key.first];
    if (step > durable.second) durable = {key.second, step};
  });
}

void GangModel::exit(Gang& gang, SeatKey seat, GangOutcome outcome, SeatExit how) {
  const auto found = gang.members.find(seat);
  if (found == gang.members.end() || !found->second.launched || found->second.over) return;
  found->second.over = true;
  worker::GangSeatExited exited;
  exited.seat = seat;
  exited.outcome = outcome;
  exited.exit = how;
  exited.message = outcome == GangOutcome::kFailed ? "its rank exited with 1" : "";
  tell_(found->second.worker, found->second.incarnation, exited);
}

// The others notice that it is gone.
void GangModel::lose(Gang& gang, SeatKey first) {
  gang.dead = true;
  for (auto& [seat, member] : gang.members) {
    if (seat == first) continue;
    const Key key{seat.job, seat.attempt};
    time_.after(random_.between(200, 8000),
                [this, key, s = seat] { exit(gangs_[key], s, GangOutcome::kPeerLost); });
  }
}

void GangModel::stop(SeatKey seat) {
  const auto found = gangs_.find({seat.job, seat.attempt});
  if (found == gangs_.end()) return;
  if (found->second.up) found->second.stopping = true;
}

void GangModel::kill(SeatKey seat) {
  const auto found = gangs_.find({seat.job, seat.attempt});
  if (found == gangs_.end()) return;
  if (!found->second.dead) lose(found->second, seat);
  exit(found->second, seat, GangOutcome::kStopped);
}

void GangModel::daemon_gone(std::size_t worker, Incarnation incarnation) {
  for (auto& [key, gang] : gangs_) {
    for (auto& [seat, member] : gang.members) {
      if (member.worker != worker || member.incarnation != incarnation) continue;
      member.over = true;
      if (!gang.dead) lose(gang, seat);
    }
  }
}

}  // namespace overwinter::simulation
