// Seats of gangs: prepared, launched, up, over. What is launched ends as one: a member that stops
// takes the others to the same step.
#include <algorithm>
#include <utility>

#include "worker/core/worker_core.h"

namespace overwinter::worker {

// Something of it runs that has to answer before it can be closed.
bool WorkerCore::works(const Seat& seat) {
  if (seat.gang != GangPhase::kNone) return seat.gang >= GangPhase::kLaunched && !seat.exited;
  return seat.ready && !seat.working.empty();
}

void WorkerCore::on(Moment, const LaunchGang& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->silent || seat->phase != Phase::kRunning) return;
  if (seat->gang != GangPhase::kPrepared) return;  // told before, or no gang's
  seat->gang = GangPhase::kLaunched;
  out.emplace_back(LaunchSeat{input});
}

void WorkerCore::on(Moment, const GangSeatUp& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->gang != GangPhase::kLaunched || seat->exited) return;
  seat->gang = GangPhase::kUp;
  if (!seat->silent) report(SeatBegan{input.seat}, out);
}

void WorkerCore::on(Moment, const GangLaunchFailed& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->gang < GangPhase::kLaunched || seat->exited) return;
  if (seat->phase == Phase::kRunning && !seat->silent) {
    report(LaunchFailedReport{input.seat, input.unreachable, input.message}, out);
  }
}

void WorkerCore::on(Moment, const SeatProgressed& input, Outputs&) {
  Seat* seat = find(input.seat);
  if (seat == nullptr) return;
  seat->step = std::max(seat->step, input.step);
  seat->activity = std::max(seat->activity, input.activity);
}

void WorkerCore::on(Moment now, const GangSeatExited& input, Outputs& out) {
  Seat* seat = find(input.seat);
  if (seat == nullptr || seat->gang < GangPhase::kLaunched || seat->exited) return;
  seat->exited = true;
  seat->memory_used_bytes = 0;
  // What was killed by us says nothing about the job; what says that it failed had failed before,
  // and is the reason for which others were lost to each other.
  if (!seat->abandoned || input.outcome == GangOutcome::kFailed) {
    switch (input.outcome) {
      case GangOutcome::kCompleted:
        seat->end = SeatEnd::kCompleted;
        break;
      case GangOutcome::kFailed:
        seat->end = SeatEnd::kFailed;
        break;
      case GangOutcome::kPeerLost:
        seat->end = SeatEnd::kPeerLost;
        break;
      case GangOutcome::kStopped:
        break;
    }
    if (input.outcome != GangOutcome::kStopped) seat->message = input.message;
    seat->exit = input.exit;
  }
  if (seat->phase == Phase::kRunning) {
    wind_down(now, input.seat, *seat, seat->end, seat->message, now, out);
  } else {
    close_when_idle(input.seat, *seat, out);
  }
}

}  // namespace overwinter::worker
