#include "coordinator/runtime/coordinator_loop.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/log.h"
#include "coordinator/runtime/snapshot.h"

namespace overwinter::runtime {
namespace {

using SteadyClock = std::chrono::steady_clock;

Duration to_ms(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<Duration>(d);
}

// The worker whose later orders must not leave before this one; none when it stands for itself. An
// acknowledgement does: else the next range of a busy seat would wait for every commit.
WorkerId holds_up(const core::Effect& effect) {
  if (std::holds_alternative<core::AcknowledgeReports>(effect)) return WorkerId();
  return worker_of(effect);
}

}  // namespace

CoordinatorLoop::CoordinatorLoop(core::Scheduler scheduler, const Clock& clock, Time last_durable,
                                 EventQueue& queue, TurnSink& sink, EffectDispatcher& effects,
                                 Views& views)
    : scheduler_(std::move(scheduler)),
      clock_(clock),
      cluster_clock_(clock, last_durable),
      queue_(queue),
      effects_(effects),
      views_(views),
      committer_(sink, [this] { queue_.wake(); }) {
  const Time start = tick();
  views_.apply(snapshot_all(scheduler_, start));
}

CoordinatorLoop::~CoordinatorLoop() {
  stop();
}

void CoordinatorLoop::start() {
  thread_ = std::thread([this] { run(); });
}

void CoordinatorLoop::stop() {
  stopping_ = true;
  queue_.close();
  if (thread_.joinable()) thread_.join();
  committer_.stop();
}

Time CoordinatorLoop::now() const {
  return Time(to_ms(clock_.monotonic()) + Duration(now_offset_ms_.load()));
}

Time CoordinatorLoop::tick() {
  const Time now = cluster_clock_.now();
  now_offset_ms_ = (now.time_since_epoch() - to_ms(clock_.monotonic())).count();
  return now;
}

std::optional<SteadyClock::time_point> CoordinatorLoop::deadline() const {
  if (!wakeup_) return std::nullopt;
  const Duration left = std::max(Duration(0), *wakeup_ - now());
  return SteadyClock::now() + left;
}

void CoordinatorLoop::notice_stall(std::vector<core::Event>& events) {
  if (expected_by_.count() == 0) return;
  const Duration late = to_ms(clock_.monotonic() - expected_by_);
  if (late < kStallMin) return;
  ++counters_.stalls;
  log_warning("the coordinator stood still for {}: every deadline moves by it",
              format_duration(late));
  events.insert(events.begin(), core::LoopStalled{late});
}

void CoordinatorLoop::run() {
  std::vector<core::Event> events;
  while (!stopping_) {
    if (pending_.size() >= kTurnsAheadMax) {
      // The first that waits is durable: release_committed() leaves no other at the front.
      committer_.wait_beyond(pending_.front().number - 1);
      release_committed();
      continue;
    }
    events.clear();
    const auto until = deadline();
    // What was to be woken for, so that coming late is noticed (a suspend, a starved machine).
    expected_by_ =
        until ? clock_.monotonic() + std::max(std::chrono::nanoseconds(0),
                                              std::chrono::nanoseconds(*until - SteadyClock::now()))
              : std::chrono::nanoseconds(0);
    queue_.drain(until, kEventsPerTurnMax, events);
    release_committed();
    notice_stall(events);
    if (wakeup_ && tick() >= *wakeup_) events.emplace_back(core::TimerFired{});
    if (!events.empty()) step_all(events);
  }
  while (!pending_.empty()) {
    committer_.wait_beyond(pending_.front().number - 1);
    release_committed();
  }
}

void CoordinatorLoop::step_all(std::vector<core::Event>& events) {
  const Time now = tick();
  PendingTurn turn;
  turn.began = SteadyClock::now();
  Turn durable{now, {}};
  for (const core::Event& event : events) {
    scheduler_.step(now, event, outcome_);
    note_change(scheduler_, outcome_, now, turn.views);
    std::move(outcome_.facts.begin(), outcome_.facts.end(), std::back_inserter(durable.facts));
    std::move(outcome_.effects.begin(), outcome_.effects.end(), std::back_inserter(turn.effects));
    wakeup_ = outcome_.next_wakeup;
  }
  counters_.events += events.size();
  counters_.facts += durable.facts.size();
  turn.durable = !durable.facts.empty();
  if (!turn.durable && pending_.empty()) {
    release(turn);
    return;
  }
  send_soft(turn.effects);
  for (const core::Effect& effect : turn.effects) {
    if (const WorkerId worker = holds_up(effect); worker.valid()) ++orders_waiting_[worker];
  }
  if (turn.durable) {
    turn.number = ++submitted_;
    ++counters_.turns;
    committer_.submit(std::move(durable));
  }
  pending_.push_back(std::move(turn));
}

// Soft effects of a turn may leave before its commit, but never before an order to the same worker
// that still waits: a range must not arrive before its seat.
void CoordinatorLoop::send_soft(std::vector<core::Effect>& effects) {
  std::vector<core::Effect> early;
  std::vector<WorkerId> held;
  std::vector<core::Effect> late;
  for (core::Effect& effect : effects) {
    const WorkerId worker = worker_of(effect);
    const bool behind = orders_waiting_.contains(worker) ||
                        std::find(held.begin(), held.end(), worker) != held.end();
    if (core::is_soft(effect) && !behind) {
      early.push_back(std::move(effect));
    } else {
      if (const WorkerId behind_it = holds_up(effect); behind_it.valid()) held.push_back(behind_it);
      late.push_back(std::move(effect));
    }
  }
  if (!early.empty()) effects_.dispatch(early);
  effects = std::move(late);
}

void CoordinatorLoop::release_committed() {
  const std::uint64_t committed = committer_.committed();
  while (!pending_.empty()) {
    PendingTurn& turn = pending_.front();
    if (turn.durable && turn.number > committed) return;
    for (const core::Effect& effect : turn.effects) {
      const auto it = orders_waiting_.find(holds_up(effect));
      if (it != orders_waiting_.end() && --it->second == 0) orders_waiting_.erase(it);
    }
    release(turn);
    pending_.pop_front();
  }
}

// Views first: who gets an order or a reply can read what it says. Watchers last: to each of them
// something is written here, and workers need not wait for that.
void CoordinatorLoop::release(PendingTurn& turn) {
  const Views::Projects touched = views_.put(turn.views);
  effects_.dispatch(turn.effects);
  views_.tell(touched);
  if (turn.durable) {
    counters_.turn_us += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - turn.began)
            .count());
  }
}

}  // namespace overwinter::runtime
