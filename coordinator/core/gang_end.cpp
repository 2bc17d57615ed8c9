// The end of a gang's attempt: when one member goes, the others do too; what ended it is known when
// every seat is released, and the next one goes on from the last whole checkpoint.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

using ledger::Charge;
using ledger::charge_for;

constexpr std::uint32_t kStallsMax = 2;  // without a checkpoint in between

Cause cause_of(SeatEnd end) {
  switch (end) {
    case SeatEnd::kFailed:
    case SeatEnd::kRefused:
      return Cause::kFailure;
    case SeatEnd::kLeaving:
    case SeatEnd::kFinished:
      return Cause::kDrain;
    case SeatEnd::kFundsEnded:
      return Cause::kBudget;
    case SeatEnd::kLost:
    case SeatEnd::kPeerLost:
    case SeatEnd::kCompleted:
      return Cause::kWorkerLost;
  }
  return Cause::kWorkerLost;
}

// A gang that has lost a member can save nothing together; one that is moved can.
bool is_gentle(Cause cause) {
  return cause == Cause::kDrain || cause == Cause::kBudget;
}

std::string failed_so_often(std::uint32_t times) {
  return times == 1 ? "; the job has no retries"
                    : "; it failed " + std::to_string(times) + " times";
}

}  // namespace

// The attempt is over before the job: the rest of its seats go too. What ended it is known when all
// have said how they ended.
void Engine::break_attempt(JobId id, Cause cause) {
  const Job& of = job(id);
  if (of.broken || (of.state != JobState::kStarting && of.state != JobState::kRunning)) return;
  if (planted(Bug::kGangLossIgnored) && cause == Cause::kWorkerLost) return;
  emit(AttemptBroken{id, of.attempt, cause});
  timers_.cancel({TimerKind::kStart, id.value(), 0});
  set_state(
      id, JobState::kStarting, cause,
      "its attempt " + std::to_string(of.attempt) + " broke off; its other workers are stopping");
  std::vector<SeatKey> keys;
  for (const auto& [number, seat] : of.seats) keys.push_back(seat.key);
  for (const SeatKey key : keys) stop_seat(key, cause, !is_gentle(cause));
}

bool Engine::ends_at_once(const Seat& stopping) const {
  return job(stopping.key.job).broken && !is_gentle(stopping.stop_cause);
}

// Before a gang's seat is released.
void Engine::gang_seat_ends(SeatKey key, SeatEnd end) {
  const Job& of = job(key.job);
  if (end == SeatEnd::kCompleted) return;
  if (of.state == JobState::kStopping && end != SeatEnd::kFinished) {
    // One that ends otherwise leaves the others nothing to finish together.
    for (const auto& [number, seat] : of.seats) {
      if (number != key.number) stop_seat(seat.key, of.cause, true);
    }
    return;
  }
  break_attempt(key.job, cause_of(end));
}

// What the next attempt does again: the use of this seat since the last whole checkpoint, but for
// what it `waited` until its gang was up. An attempt that never was did no work: it only waited.
Charge Engine::wasted_by(const Job& of, const Seat& seat, Charge waited) const {
  if (!of.broken || planted(Bug::kGangWasteForgotten)) return {};
  Time kept = seat.granted_at;
  if (planted(Bug::kGangWaitIsWasteToo)) {
    waited = {};
  } else if (of.up_at) {
    kept = std::max(kept, *of.up_at);
  }
  if (of.checkpoint_step) kept = std::max(kept, of.checkpoint_at);
  const Duration lost = std::max(Duration(0), seat.used_charged - (kept - seat.granted_at));
  // A rise of the price since then makes no more of it than was paid.
  return std::min(seat.charged - waited,
                  charge_for(seat.device_price_per_hour, lost, seat.share_ppm));
}

// Its last seat is released, and nobody had asked the job to stop.
void Engine::gang_attempt_over(JobId id) {
  const Job& of = job(id);
  if (!of.gang_workers.empty() && of.seats_finished == of.gang_workers.size()) {
    emit(UnitsDone{id, UnitRanges(UnitRange{0, of.demand.units}), {}});
    finish(id);
    return;
  }
  if (!of.broken) emit(AttemptBroken{id, of.attempt, Cause::kWorkerLost});
  timers_.cancel({TimerKind::kStall, id.value(), 0});
  const Culprit& culprit = of.culprit;
  JobSoft& soft = job_soft(of);
  // The last words of what ended it may be newer than what its worker told every few seconds.
  soft.step = std::max(soft.step, culprit.exit.step);
  AttemptEnded ended{id,           of.attempt,     of.broken_cause,
                     culprit.seat, culprit.worker, soft.step,
                     false,        culprit.exit,   {}};
  if (outweighs(culprit.end, SeatEnd::kLost)) ended.cause = Cause::kFailure;
  ended.counts = ended.cause == Cause::kFailure || ended.cause == Cause::kLaunch;
  if (planted(Bug::kGangRetriesNotCounted)) ended.counts = false;
  const Worker* host = state_.find_worker(culprit.worker);
  const std::string where = host == nullptr ? std::string() : " on " + host->name;
  switch (ended.cause) {
    case Cause::kLaunch:
      ended.reason = soft.launch_failure.empty() ? "it could not be launched" : soft.launch_failure;
      break;
    case Cause::kStalled:
      ended.reason = "no step, checkpoint or output for " +
                     format_duration(of.demand.stall_timeout) +
                     (soft.launched ? " after step " + std::to_string(soft.step)
                                    : " while its workers were prepared");
      break;
    default:
      ended.reason = (culprit.message.empty() ? "a member ended" : culprit.message);
      // Workers speak in sentences; this one goes on.
      if (ended.reason.ends_with('.')) ended.reason.pop_back();
      if (culprit.end != SeatEnd::kLost) ended.reason += where;  // what is lost is named already
  }
  const bool progress = of.checkpoint_attempt == of.attempt || soft.step > soft.first_step;
  const bool refused = culprit.end == SeatEnd::kRefused;
  if (refused && culprit.worker.valid()) avoid(of, culprit.worker);
  const bool final_at_once =
      ended.cause == Cause::kFailure && !refused && (!progress || culprit.exit.repeats);
  emit(ended);
  touch(id);
  if (final_at_once || of.failures > of.demand.retries) {
    stop_job(id, Cause::kFailure,
             ended.reason + (culprit.exit.repeats ? "; it would end so again"
                             : final_at_once      ? "; its attempt made no step and no checkpoint"
                                                  : failed_so_often(of.failures)),
             0);
    return;
  }
  if (of.stalls >= kStallsMax) {
    stop_job(id, Cause::kFailure, ended.reason + ", for the second time", 0);
    return;
  }
  if (broke(of)) {
    out_of_budget(id);
    return;
  }
  set_state(id, JobState::kQueued, ended.cause,
            ended.reason + "; it starts again from " + from_where(of));
  update_waiting(id);
  eager_.insert(id);
}

}  // namespace overwinter::core
