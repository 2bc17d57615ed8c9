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

// ---- the coordinator
// ------------------------------------------------------------------------------

void WorkerCore::on(Moment now, const OfferSeat& input, Outputs& out) {
  if (ended_.contains(input.seat)) return;
  if (Seat* known = find(input.seat)) {
    known->funded_for = std::max(known->funded_for, input.funded_for);
    return;
  }
  if (shut_down_by_) {
    report(SeatEnded{input.seat, SeatEnd::kLeaving, Duration(0), 0, "the worker shuts down"}, out);
    ended(input.seat);
    return;
  }
  if (input.device >= config_.devices) {
    report(SeatEnded{input.seat, SeatEnd::kRefused, Duration(0), 0,
                     "this worker has no device " + std::to_string(input.device)},
           out);
    ended(input.seat);
    return;
  }
  Seat seat;
  seat.began = now;
  seat.funded_for = input.funded_for;
  seat.stop_time = std::max(input.stop_time, Duration(0));
  if (input.gang) seat.gang = GangPhase::kPreparing;
  seats_.emplace(input.seat, std::move(seat));
  out.emplace_back(BeginSeat{input});
}

void WorkerCore::on(Moment, const FundSeat& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr) return;
  if (!input.capability.empty()) out.emplace_back(RenewCapability{input.seat, input.capability});
  // A seat that already winds down goes on doing so: its end was promised to the executors.
  if (seat->phase == Phase::kBeginning || seat->phase == Phase::kRunning) {
    seat->funded_for = std::max(seat->funded_for, input.funded_for);
  }
}

void WorkerCore::on(Moment, const HandOutUnits& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->silent) return;
  if (seat->phase != Phase::kBeginning && seat->phase != Phase::kRunning) return;
  UnitRanges fresh = input.units;
  fresh.remove(seat->held);
  seat->held.add(fresh);
  // A unit that was reclaimed and is still in work is answered first, and not started twice.
  fresh.remove(seat->working);
  seat->waiting.add(fresh);
  start_units(input.seat, *seat, out);
}

void WorkerCore::on(Moment, const ReclaimUnits& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr) return;
  seat->held.remove(input.units);
  seat->waiting.remove(input.units);
  UnitRanges in_work = seat->working.intersection(input.units);
  if (!in_work.empty()) out.emplace_back(AbandonUnits{input.seat, std::move(in_work)});
}

void WorkerCore::on(Moment now, const StopSeat& input, Outputs& out) {
  if (Seat* seat = find(input.seat)) {
    const Moment until = input.at_once ? now : now + seat->stop_time;
    wind_down(now, input.seat, *seat, SeatEnd::kFinished, {}, until, out);
  }
}

void WorkerCore::on(Moment, const Acknowledge& input, Outputs&) {
  acknowledge(input.report);
}

void WorkerCore::on(Moment now, const Welcome& input, Outputs& out) {
  if (link_ == Link::kDown) return;
  const bool again = link_ == Link::kWelcomed;
  link_ = Link::kWelcomed;
  if (input.generation.valid()) config_.generation = input.generation;
  heartbeat_every_ = std::max(input.heartbeat_every, Duration(50));
  if (!again) next_heartbeat_ = now + heartbeat_every_;
  acknowledge(input.acknowledged);
  if (!again) {
    for (const SendReport& waiting : reports_) out.emplace_back(waiting);
  }
  for (const FundSeat& fund : input.keep) on(now, fund, out);
  for (const SeatKey& key : input.drop) {
    Seat* seat = find(key);
    if (seat == nullptr) continue;
    seat->silent = true;
    seat->held.clear();
    seat->waiting.clear();
    wind_down(now, key, *seat, SeatEnd::kFinished, {}, now, out);
    // The wind-down may have begun before, with more time than is left now.
    if ((seat = find(key)) != nullptr && seat->phase == Phase::kWindingDown) {
      abandon_work(key, *seat, out);
    }
  }
  for (const OfferSeat& offer : input.start) on(now, offer, out);
}

// ---- the stream
// -----------------------------------------------------------------------------------

void WorkerCore::on(Moment now, const StreamConnected&, Outputs& out) {
  link_ = Link::kGreeting;
  out.emplace_back(
      SendHello{config_.incarnation, statuses(now, true), last_report_, config_.generation});
}

void WorkerCore::on(Moment, const StreamLost&, Outputs&) {
  link_ = Link::kDown;
}

// ---- executors
// ------------------------------------------------------------------------------------

void WorkerCore::on(Moment, const SeatReady& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->ready) return;
  seat->ready = true;
  seat->pipeline_units = std::max(input.pipeline_units, 1U);
  if (seat->gang == GangPhase::kPreparing) {
    seat->gang = GangPhase::kPrepared;
    if (!seat->silent) report(SeatPrepared{input.seat}, out);
  } else if (!seat->silent) {
    report(SeatBegan{input.seat}, out);
  }
  if (seat->phase == Phase::kBeginning) {
    seat->phase = Phase::kRunning;
    start_units(input.seat, *seat, out);
  } else {
    close_when_idle(input.seat, *seat, out);
  }
}

void WorkerCore::on(Moment now, const SeatRefused& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->ready) return;
  if (!seat->silent) {
    const bool stopped = seat->phase == Phase::kWindingDown;
    report(SeatEnded{input.seat, stopped ? seat->end : SeatEnd::kRefused,
                     stopped ? used(*seat, now) : Duration(0), seat->memory_peak_bytes,
                     stopped ? seat->message : input.message},
           out);
  }
  ended(input.seat);
}

void WorkerCore::on(Moment, const UnitsDelivered& input, Outputs& out) {
  answered(input.seat, input.units, true, out);
}

void WorkerCore::on(Moment, const UnitsCompleted& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr) return;
  UnitRanges wanted = input.units.intersection(seat->held);
  if (!wanted.empty() && !seat->silent) report(UnitsReported{input.seat, std::move(wanted)}, out);
  answered(input.seat, input.units, true, out);
}

void WorkerCore::on(Moment, const UnitsFailed& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr) return;
  UnitRanges wanted = input.units.intersection(seat->held);
  if (!wanted.empty() && !seat->silent) {
    report(UnitsFailedReport{input.seat, std::move(wanted), input.message}, out);
  }
  answered(input.seat, input.units, true, out);
}

void WorkerCore::on(Moment, const UnitsAbandoned& input, Outputs& out) {
  answered(input.seat, input.units, false, out);
}

void WorkerCore::on(Moment now, const SeatFailed& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr) return;
  if (seat->phase == Phase::kWindingDown || seat->phase == Phase::kClosing) return;
  wind_down(now, input.seat, *seat, SeatEnd::kFailed, input.message, now, out);
}

void WorkerCore::on(Moment, const SeatMeasured& input, Outputs&) {
  if (Seat* seat = find(input.seat)) {
    seat->memory_peak_bytes = std::max(seat->memory_peak_bytes, input.memory_peak_bytes);
  }
}

void WorkerCore::on(Moment now, const SeatClosed& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->phase != Phase::kClosing) return;
  const std::uint64_t peak = std::max(seat->memory_peak_bytes, input.memory_peak_bytes);
  if (!seat->silent) {
    report(SeatEnded{input.seat, seat->end, used(*seat, now), peak, seat->message, seat->exit},
           out);
  }
  ended(input.seat);
}

// ---- the daemon
// -----------------------------------------------------------------------------------

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

// ---- helpers
// --------------------------------------------------------------------------------------

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

void WorkerCore::answered(const SeatKey& key, const UnitRanges& units, bool done, Outputs& out) {
  Seat* seat = find(key);
  if (seat == nullptr) return;
  seat->working.remove(units);
  if (done) {
    seat->held.remove(units);
    seat->waiting.remove(units);
  } else if (seat->phase == Phase::kRunning) {
    // Abandoned for a reclaim, and handed out again in the meantime.
    seat->waiting.add(units.intersection(seat->held));
  }
  start_units(key, *seat, out);
  close_when_idle(key, *seat, out);
}

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
