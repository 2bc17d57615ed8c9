#include "worker/core/worker_core.h"

#include <algorithm>
#include <utility>

namespace overwinter::worker {
namespace {

// How long before the last moment work is given up, so that it is really over by then.
Duration margin(Duration stop_time) {
  return std::min(stop_time / 4, Duration(250));
}

}  // namespace

WorkerCore::WorkerCore(WorkerCoreConfig config) : config_(config) {}

void WorkerCore::step(Moment now, const Input& input, std::vector<Output>& out) {
  std::visit([&](const auto& value) { on(now, value, out); }, input);
  check_deadlines(now, out);
  check_shut_down(now, out);
}

std::optional<Moment> WorkerCore::next_wakeup() const {
  std::optional<Moment> next;
  const auto earlier = [&next](Moment at) { next = next ? std::min(*next, at) : at; };
  if (link_ == Link::kWelcomed) earlier(next_heartbeat_);
  for (const auto& [key, seat] : seats_) {
    if (seat.phase == Phase::kBeginning || seat.phase == Phase::kRunning) {
      earlier(seat.began + seat.funded_for - seat.stop_time);
    } else if (seat.phase == Phase::kWindingDown && !seat.abandoned) {
      earlier(seat.abandon_at);
    }
  }
  if (shut_down_by_ && !shut_down_said_) earlier(*shut_down_by_);
  return next;
}

std::optional<SeatStatus> WorkerCore::status(const SeatKey& seat, Moment now) const {
  const auto at = seats_.find(seat);
  if (at == seats_.end()) return std::nullopt;
  return status_of(at->first, at->second, now, true);
}

WorkerCore::Seat* WorkerCore::find(const SeatKey& key) {
  const auto at = seats_.find(key);
  return at == seats_.end() ? nullptr : &at->second;
}

Duration WorkerCore::used(const Seat& seat, Moment now) {
  return std::clamp(now - seat.began, Duration(0), std::max(seat.funded_for, Duration(0)));
}

Moment WorkerCore::deadline(const Seat& seat) {
  return seat.began + seat.funded_for;
}

SeatStatus WorkerCore::status_of(const SeatKey& key, const Seat& seat, Moment now, bool with_held) {
  SeatStatus status;
  status.seat = key;
  status.used = used(seat, now);
  if (with_held) status.held = seat.held;
  status.memory_peak_bytes = seat.memory_peak_bytes;
  status.memory_used_bytes = seat.memory_used_bytes;
  status.phase = seat.gang;
  status.step = seat.step;
  status.activity = seat.activity;
  status.stopping = seat.phase == Phase::kWindingDown || seat.phase == Phase::kClosing;
  return status;
}

std::vector<SeatStatus> WorkerCore::statuses(Moment now, bool with_held) const {
  std::vector<SeatStatus> all;
  for (const auto& [key, seat] : seats_) {
    if (!seat.silent) all.push_back(status_of(key, seat, now, with_held));
  }
  return all;
}

// ---- the stream

void WorkerCore::on(Moment now, const StreamConnected&, Outputs& out) {
  link_ = Link::kGreeting;
  out.emplace_back(
      SendHello{config_.incarnation, statuses(now, true), last_report_, config_.generation});
}

void WorkerCore::on(Moment, const StreamLost&, Outputs&) {
  link_ = Link::kDown;
}

// ---- the daemon

void WorkerCore::on(Moment now, const TimerFired&, Outputs& out) {
  if (link_ != Link::kWelcomed || now < next_heartbeat_) return;
  out.emplace_back(SendHeartbeat{statuses(now, false)});
  next_heartbeat_ = now + heartbeat_every_;
}

void WorkerCore::on(Moment now, const ShutDown& input, Outputs& out) {
  if (shut_down_by_) return;
  shut_down_by_ = now + input.within;
  // A part of the time is for the reports to arrive.
  const Moment until = now + input.within * 3 / 4;
  std::vector<SeatKey> keys;
  for (const auto& [key, seat] : seats_) keys.push_back(key);
  for (const SeatKey& key : keys) {
    if (Seat* seat = find(key)) {
      wind_down(now, key, *seat, SeatEnd::kLeaving, "the worker shuts down", until, out);
    }
  }
}

// ---- units and the end of seats

void WorkerCore::start_units(const SeatKey& key, Seat& seat, Outputs& out) {
  if (seat.phase != Phase::kRunning || seat.waiting.empty()) return;
  const std::uint64_t in_work = seat.working.count();
  if (in_work >= seat.pipeline_units) return;
  UnitRanges units = seat.waiting.take_front(seat.pipeline_units - in_work);
  seat.working.add(units);
  out.emplace_back(StartUnits{key, std::move(units)});
}

void WorkerCore::wind_down(Moment now, const SeatKey& key, Seat& seat, SeatEnd end,
                           std::string message, Moment until, Outputs& out) {
  if (seat.phase == Phase::kClosing) return;
  until = std::min(until, deadline(seat));
  const Moment abandon_at = std::max(now, until - margin(seat.stop_time));
  if (seat.phase == Phase::kWindingDown) {
    seat.abandon_at = std::min(seat.abandon_at, abandon_at);
    return;
  }
  seat.phase = Phase::kWindingDown;
  seat.end = end;
  seat.message = std::move(message);
  seat.waiting.clear();
  seat.abandon_at = abandon_at;
  // Preparing a gang's seat may take long, and is given up at any time.
  if (seat.gang == GangPhase::kPreparing && !seat.ready) out.emplace_back(KillSeat{key});
  if (works(seat)) {
    if (abandon_at <= now) {
      abandon_work(key, seat, out);
    } else {
      out.emplace_back(WindDownSeat{key, abandon_at - now});
    }
  }
  close_when_idle(key, seat, out);
}

void WorkerCore::abandon_work(const SeatKey& key, Seat& seat, Outputs& out) {
  if (seat.abandoned) return;
  seat.abandoned = true;
  if (seat.gang != GangPhase::kNone) {
    if (works(seat)) out.emplace_back(KillSeat{key});
  } else if (!seat.working.empty()) {
    out.emplace_back(AbandonUnits{key, seat.working});
  }
}

void WorkerCore::close_when_idle(const SeatKey& key, Seat& seat, Outputs& out) {
  if (seat.phase != Phase::kWindingDown || !seat.ready || works(seat)) return;
  seat.phase = Phase::kClosing;
  out.emplace_back(EndSeat{key});
}

// ---- reports and deadlines

void WorkerCore::report(decltype(SendReport::report) what, Outputs& out) {
  reports_.push_back(SendReport{++last_report_, std::move(what)});
  if (link_ == Link::kWelcomed) out.emplace_back(reports_.back());
}

void WorkerCore::ended(const SeatKey& key) {
  seats_.erase(key);
  if (!ended_.insert(key).second) return;
  ended_order_.push_back(key);
  if (ended_order_.size() > config_.ended_seats_kept) {
    ended_.erase(ended_order_.front());
    ended_order_.pop_front();
  }
}

void WorkerCore::acknowledge(std::uint64_t number) {
  while (!reports_.empty() && reports_.front().number <= number) reports_.pop_front();
}

void WorkerCore::check_deadlines(Moment now, Outputs& out) {
  for (auto& [key, seat] : seats_) {
    if ((seat.phase == Phase::kBeginning || seat.phase == Phase::kRunning) &&
        now >= deadline(seat) - seat.stop_time) {
      wind_down(now, key, seat, SeatEnd::kFundsEnded, "its funding ended", deadline(seat), out);
    }
    if (seat.phase == Phase::kWindingDown && now >= seat.abandon_at) abandon_work(key, seat, out);
  }
}

void WorkerCore::check_shut_down(Moment now, Outputs& out) {
  if (!shut_down_by_ || shut_down_said_) return;
  const bool nothing_left = seats_.empty() && (reports_.empty() || link_ == Link::kDown);
  if (!nothing_left && now < *shut_down_by_) return;
  shut_down_said_ = true;
  out.emplace_back(ShutDownComplete{});
}

}  // namespace overwinter::worker
