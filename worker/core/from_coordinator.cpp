// What the coordinator orders: seats, funds, units, and its welcome after a Hello.
#include <algorithm>
#include <utility>

#include "worker/core/worker_core.h"

namespace overwinter::worker {

void WorkerCore::on(Moment now, const OfferSeat& input, Outputs& out) {
  if (ended_.contains(input.seat)) return;
  if (Seat* known = find(input.seat)) {
    if (known->silent) {  // of another generation of the store, and not ended yet
      report(SeatEnded{input.seat, SeatEnd::kRefused, Duration(0), 0,
                       "a seat of that name from before the coordinator was restored still ends"},
             out);
      return;
    }
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
  if (input.generation.valid()) {
    // Of another store: what it calls by a name that was ended here is not what ended.
    if (config_.generation.valid() && config_.generation != input.generation) {
      ended_.clear();
      ended_order_.clear();
    }
    config_.generation = input.generation;
  }
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

}  // namespace overwinter::worker
