// What executors answer: seats that are ready, units that are done, seats that are closed.
#include <algorithm>
#include <utility>

#include "worker/core/worker_core.h"

namespace overwinter::worker {

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
    seat->memory_used_bytes = seat->exited ? 0 : input.memory_used_bytes;
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

}  // namespace overwinter::worker
