// The network between the models, and what goes wrong.
#include <fmt/format.h>

#include <algorithm>

#include "tests/simulation/world.h"

namespace overwinter::simulation {

WorkerModel* World::find_worker(WorkerId id) {
  for (auto& worker : workers_) {
    if (worker->id() == id) return worker.get();
  }
  return nullptr;
}

// ---- streams
// --------------------------------------------------------------------------------------------

void World::try_connect(std::size_t index) {
  time_.after(delay() + 1, [this, index] {
    WorkerModel& worker = *workers_[index];
    if (!worker.alive() || worker.epoch() != 0) return;
    Link& link = links_[index];
    const bool blocked = time_.now() < std::max(link.up_blocked_until, link.down_blocked_until);
    if (!coordinator_.up() || blocked || worker.frozen()) {
      time_.after(random_.between(200, 2000), [this, index] { try_connect(index); });
      return;
    }
    link.epoch = next_epoch_++;
    link.up_free_at = link.down_free_at = time_.now();
    worker.connected(link.epoch);
  });
}

void World::hello(std::size_t worker, std::uint64_t epoch, core::WorkerHello event) {
  say(worker, epoch, std::move(event));
}

bool World::of_old_daemon(const core::Event& event) const {
  const auto is_old = [this](const auto* said) {
    if (said == nullptr) return false;
    const core::Worker* known = coordinator_.state().find_worker(said->worker);
    return known != nullptr && known->incarnation != said->incarnation;
  };
  return is_old(std::get_if<core::WorkerHeartbeat>(&event)) ||
         is_old(std::get_if<core::WorkerReported>(&event));
}

void World::say(std::size_t worker, std::uint64_t epoch, core::Event event) {
  Link& link = links_[worker];
  if (epoch == 0 || epoch != link.epoch) return;
  const Ms at = std::max({link.up_free_at, time_.now() + delay(), link.up_blocked_until});
  link.up_free_at = at;
  const std::uint64_t life = coordinator_.life();
  // A report may come a second time, on a stream that nobody has ended yet: after the end of what
  // it reports, after a newer stream's words, after its daemon's death.
  if (faulty() && std::holds_alternative<core::WorkerReported>(event) &&
      random_.chance(scenario_.duplicate)) {
    time_.at(at + random_.between(0, 30'000), [this, life, event] {
      if (coordinator_.up() && coordinator_.life() == life) arrive(event);
    });
  }
  time_.at(at, [this, worker, epoch, life, event = std::move(event)]() mutable {
    if (!coordinator_.up() || coordinator_.life() != life) return;
    // What a broken stream had under way may still arrive, but not behind a newer stream's words.
    // Words of an old daemon may, whenever they come: nobody listens to them any more.
    const bool late = links_[worker].epoch != epoch && links_[worker].epoch != 0;
    if (late && !of_old_daemon(event)) return;
    arrive(std::move(event));
  });
}

void World::arrive(core::Event event) {
  if (const auto* e = std::get_if<core::WorkerReported>(&event)) {
    if (const auto* units = std::get_if<core::UnitsReported>(&e->report)) {
      artifacts_.report(units->seat.job, units->units);
    }
  }
  coordinator_.post(std::move(event));
}

void World::to_worker(WorkerId id, Incarnation incarnation, const core::Effect& effect) {
  WorkerModel* worker = find_worker(id);
  if (worker == nullptr || worker->incarnation() != incarnation) return;
  const auto index =
      static_cast<std::size_t>(std::find_if(workers_.begin(), workers_.end(),
                                            [&](const auto& w) { return w.get() == worker; }) -
                               workers_.begin());
  Link& link = links_[index];
  if (link.epoch == 0) return;
  const std::uint64_t epoch = link.epoch;
  const Ms at = std::max({link.down_free_at, time_.now() + delay(), link.down_blocked_until});
  link.down_free_at = at;
  time_.at(at, [this, index, epoch, effect] {
    if (links_[index].epoch == epoch) workers_[index]->receive(epoch, effect);
  });
}

void World::break_link(std::size_t index, bool deliver_what_is_under_way) {
  Link& link = links_[index];
  if (link.epoch == 0) return;
  const std::uint64_t epoch = link.epoch;
  const Incarnation incarnation = workers_[index]->incarnation();
  const WorkerId id = workers_[index]->id();
  const std::uint64_t life = coordinator_.life();
  // A stream's end is noticed by the coordinator some time later, unless a newer stream came first.
  const Ms noticed =
      std::max(deliver_what_is_under_way ? link.up_free_at : time_.now(), time_.now() + delay());
  link.epoch = 0;
  time_.at(noticed, [this, index, id, incarnation, life] {
    if (links_[index].epoch != 0 || !coordinator_.up() || coordinator_.life() != life) return;
    coordinator_.post(core::WorkerDisconnected{id, incarnation});
  });
  workers_[index]->disconnected(epoch);
}

void World::coordinator_crashed() {
  results_prepared_.clear();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const std::uint64_t epoch = links_[i].epoch;
    links_[i].epoch = 0;
    if (epoch != 0) workers_[i]->disconnected(epoch);
  }
  time_.after(random_.between(50, random_.chance(0.2) ? 120'000 : 5'000), [this] {
    started_at_ = time_.now();
    coordinator_.start();
    check_acknowledged();
    announce_checkpoints();
  });
}

// ---- effects
// --------------------------------------------------------------------------------------------

void World::leave(const core::Effect& effect) {
  std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, core::Reply>) {
          const auto waiting = waiting_.find(e.reply);
          if (waiting == waiting_.end()) return;
          const OnReply on_reply = std::move(waiting->second);
          waiting_.erase(waiting);
          on_reply(e);
        } else if constexpr (std::is_same_v<E, core::RefuseWorker>) {
          WorkerModel* worker = find_worker(e.worker);
          if (worker == nullptr || worker->incarnation() != e.incarnation) return;
          for (std::size_t i = 0; i < workers_.size(); ++i) {
            if (workers_[i].get() == worker) break_link(i, false);
          }
        } else if constexpr (std::is_same_v<E, core::EndPrincipal>) {
          if (e.kind != PrincipalKind::kWorker) return;
          if (WorkerModel* worker = find_worker(WorkerId(e.id))) {
            time_.after(0, [worker] { worker->retire(); });
          }
        } else if constexpr (std::is_same_v<E, core::PrepareResult>) {
          results_prepared_.insert(e.job);
          if (faulty() && random_.chance(scenario_.result_refused)) refuse_result(e.job);
        } else if constexpr (std::is_same_v<E, core::FinishResult>) {
          results_finished_.insert(e.job);
        } else if constexpr (std::is_same_v<E, core::Replan>) {
          plan_again(e.job);
        } else if constexpr (std::is_same_v<E, core::LaunchGang>) {
          launch(e);
        } else if constexpr (std::is_same_v<E, core::DropResult>) {
          // Nothing here depends on it: tiles are kept.
        } else {
          to_worker(e.worker, e.incarnation, effect);
        }
      },
      effect);
}

// ---- gangs

// What is durable was told once, and its turn may have been lost: the store says it again.
void World::announce_checkpoints() {
  for (const auto& [job, kept] : gangs_.checkpoints()) {
    coordinator_.post(core::CheckpointStored{job, kept.first, kept.second});
  }
}

void World::launch(const core::LaunchGang& order) {
  for (std::size_t i = 0; i < order.members.size(); ++i) {
    const GangMember& member = order.members[i];
    const WorkerModel* host = find_worker(member.worker);
    if (host == nullptr || host->incarnation() != order.incarnations[i]) continue;
    const GangPhase phase = host->phase(member.seat);
    require(phase == GangPhase::kNone || phase >= GangPhase::kPrepared, rule::kGangLaunch, [&] {
      return fmt::format("job {} is launched and worker {} is not prepared", order.job.value(),
                         member.worker.value());
    });
    to_worker(member.worker, order.incarnations[i], order);
  }
}

void World::gang_launched(std::size_t worker, Incarnation from, const worker::LaunchGang& order,
                          std::uint64_t from_step) {
  gangs_.launched(worker, from, order, from_step);
}

// ---- tiles
// ----------------------------------------------------------------------------------------------

void World::put_tile(std::size_t worker, Incarnation from, SeatKey seat, UnitNumber unit,
                     bool wrong) {
  using Verdict = WorkerModel::Verdict;
  const int copies = faulty() && random_.chance(scenario_.duplicate) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    const bool first = copy == 0;
    const Ms blocked = links_[worker].up_blocked_until;
    time_.at(std::max(time_.now() + delay(), blocked), [=, this] {
      if (!coordinator_.up()) {
        if (first) workers_[worker]->tile_lost(from, seat, unit);
        return;
      }
      if (!prepared(seat)) {
        if (first) workers_[worker]->tile_lost(from, seat, unit);
        return;
      }
      const std::uint64_t life = coordinator_.life();
      if (wrong) {
        coordinator_.post(core::UnitRejected{seat, workers_[worker]->id(), unit, "wrong"});
        if (first) answer_tile(worker, from, seat, unit, Verdict::kRejected);
        return;
      }
      artifacts_.write(seat.job, unit);
      const Ms synced = random_.between(1, 10);
      if (scenario_.shell_bug == ShellBug::kLandedBeforeSync) land(life, worker, seat, unit);
      time_.after(synced, [=, this] {
        if (!coordinator_.up() || coordinator_.life() != life) {
          if (first) workers_[worker]->tile_lost(from, seat, unit);
          return;
        }
        artifacts_.sync();
        land(life, worker, seat, unit);
        if (first) answer_tile(worker, from, seat, unit, Verdict::kDelivered);
      });
    });
  }
}

// The store takes tiles of a job only once this process has prepared its result. The order to do so
// may have been lost with the last process, and then comes again right after the start.
bool World::prepared(SeatKey seat) const {
  if (results_prepared_.count(seat.job) > 0) return true;
  constexpr Ms kAtOnce = 1000;
  require(time_.now() - started_at_ < kAtOnce || coordinator_.state().find_seat(seat) == nullptr,
          rule::kDerivedAgain, [&] {
            return fmt::format("job {} has seats, and its result is not prepared",
                               seat.job.value());
          });
  return false;
}

void World::answer_tile(std::size_t worker, Incarnation from, SeatKey seat, UnitNumber unit,
                        WorkerModel::Verdict verdict) {
  time_.after(delay(), [=, this] { workers_[worker]->tile_answered(from, seat, unit, verdict); });
}

void World::land(std::uint64_t life, std::size_t worker, SeatKey seat, UnitNumber unit) {
  if (coordinator_.life() != life) return;
  coordinator_.post(core::UnitsLanded{seat, workers_[worker]->id(), UnitRanges({unit, unit + 1})});
}

// ---- faults
// ---------------------------------------------------------------------------------------------

void World::repeat(Ms every, std::function<void()> action) {
  if (every == 0) return;
  const Ms next = random_.between(1, 2 * every);
  time_.after(next, [this, every, action = std::move(action)] {
    if (!faulty()) return;
    action();
    repeat(every, action);
  });
}

void World::schedule_faults() {
  const auto any_worker = [this] {
    return static_cast<std::size_t>(
        random_.between(0, static_cast<std::int64_t>(workers_.size()) - 1));
  };
  repeat(scenario_.coordinator_crash_every, [this] {
    if (coordinator_.up()) coordinator_.crash();
  });
  repeat(scenario_.worker_crash_every, [this, any_worker] {
    const std::size_t i = any_worker();
    if (!workers_[i]->alive()) return;
    if (random_.chance(scenario_.ghost)) leave_ghost(workers_[i]->words());
    break_link(i, random_.chance(0.5));
    workers_[i]->crash();
    time_.after(random_.between(100, 60'000), [this, i] {
      if (!workers_[i]->alive()) workers_[i]->start();
    });
  });
  repeat(scenario_.disconnect_every,
         [this, any_worker] { break_link(any_worker(), random_.chance(0.5)); });
  repeat(scenario_.partition_every, [this, any_worker] {
    const std::size_t i = any_worker();
    const Ms until = time_.now() + random_.between(1000, 60'000);
    if (random_.chance(0.6)) links_[i].up_blocked_until = until;
    if (random_.chance(0.6)) links_[i].down_blocked_until = until;
    // Either it heals, or the connection ends with what was under way.
    if (random_.chance(0.5)) time_.at(until, [this, i] { break_link(i, false); });
  });
  repeat(scenario_.freeze_every, [this, any_worker] {
    workers_[any_worker()]->freeze(time_.now() + random_.between(100, 90'000));
  });
  repeat(scenario_.person_acts_every, [this] { person_acts(); });
  repeat(scenario_.operator_acts_every, [this] { operator_acts(); });
  if (random_.chance(0.5)) {
    repeat(60'000, [this] {
      coordinator_.post(core::LoopStalled{Duration(random_.between(100, 30'000))});
    });
  }
}

void World::end_faults() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    links_[i].up_blocked_until = links_[i].down_blocked_until = time_.now();
    if (workers_[i]->id().valid() && !workers_[i]->alive()) workers_[i]->start();
  }
  scenario_.commit_fails = 0;
  nudge();
}

}  // namespace overwinter::simulation
