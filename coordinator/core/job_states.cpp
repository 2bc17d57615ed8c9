// How a job moves through its states: STOPPING lasts until all seats are released, a terminal state
// is final.
#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

constexpr std::uint32_t kFailuresMax = 3;  // of a job's own work, without progress

JobState end_of(Cause cause) {
  switch (cause) {
    case Cause::kDone:
      return JobState::kSucceeded;
    case Cause::kFailure:
      return JobState::kFailed;
    case Cause::kCancelled:
      return JobState::kCancelled;
    default:
      return JobState::kPaused;
  }
}

}  // namespace

void Engine::set_state(JobId id, JobState state, Cause cause, std::string reason,
                       std::uint64_t actor, AttemptNumber attempt) {
  emit(JobStateChanged{id, state, cause, attempt, std::move(reason), actor});
  touch(id);
  if (state != JobState::kQueued) let_go(id);
  const Job& now_job = job(id);
  const TimerSet::Key limit{TimerKind::kTimeLimit, id.value()};
  if (state == JobState::kRunning && now_job.demand.time_limit) {
    const Duration counted = now_job.ran - now_job.ran_at_resume;
    timers_.set(limit, *now_job.running_since + (*now_job.demand.time_limit - counted));
  } else {
    timers_.cancel(limit);
  }
  if (const auto soft = soft_.jobs.find(id);
      state != JobState::kRunning && soft != soft_.jobs.end())
    soft->second.pace = {};
  if (state != JobState::kRunning && state != JobState::kStarting) {
    timers_.cancel({TimerKind::kStart, id.value(), 0});
    timers_.cancel({TimerKind::kStall, id.value(), 0});
  }
  if (is_terminal(state)) ended(now_job);
}

void Engine::ended(const Job& job) {
  waiting_.remove(job.id);
  unfit_.remove(job.id);
  soft_.jobs.erase(job.id);
  avoiding_.erase(job.id);
  if (job.state != JobState::kSucceeded && !job.gang()) effect(DropResult{job.id});
  timers_.set({TimerKind::kForget, job.id.value()}, *job.ended_at + config_.forget_after);
}

void Engine::forget_due(JobId id) {
  emit(JobForgotten{id});
  touch(id);
}

void Engine::stop_job(JobId id, Cause cause, std::string reason, std::uint64_t actor) {
  waiting_.remove(id);
  unfit_.remove(id);
  const Job& stopping = job(id);
  if (stopping.seats.empty()) {
    set_state(id, end_of(cause), cause, std::move(reason), actor);
    return;
  }
  set_state(id, JobState::kStopping, cause, std::move(reason), actor);
  if (planted(Bug::kBillMovedAfterTerminal) && cause == Cause::kDone) {
    set_state(id, JobState::kSucceeded, cause, "done", actor);
  }
  std::vector<SeatKey> keys;
  for (const auto& [number, seat] : stopping.seats) keys.push_back(seat.key);
  for (const SeatKey key : keys) stop_seat(key, cause);
  if (planted(Bug::kPausedJobHoldsSeat) && cause == Cause::kPerson) {
    set_state(id, JobState::kPaused, cause, "paused", actor);
  }
}

void Engine::settle(JobId id) {
  const Job& stopped = job(id);
  if (stopped.state != JobState::kStopping || !stopped.seats.empty()) return;
  if (stopped.gang() && end_of(stopped.cause) == JobState::kPaused &&
      !stopped.gang_workers.empty() && stopped.seats_finished == stopped.gang_workers.size()) {
    // It had come to its end when it was told to stop.
    emit(UnitsDone{id, UnitRanges(UnitRange{0, stopped.demand.units}), {}});
    set_state(id, JobState::kSucceeded, Cause::kDone, "it ran to its end");
    return;
  }
  set_state(id, end_of(stopped.cause), stopped.cause,
            stopped.cause == Cause::kBudget ? budget_reason(stopped) : stopped.reason,
            stopped.state_actor);
}

void Engine::finish(JobId id) {
  if (job(id).gang()) {
    stop_job(id, Cause::kDone, "it ran to its end", 0);
    return;
  }
  effect(FinishResult{id});
  stop_job(id, Cause::kDone, "all " + std::to_string(job(id).demand.units) + " units are done", 0);
}

void Engine::count_failure(JobId id, SeatKey seat, WorkerId worker_id, std::string message) {
  const std::string where = worker(worker_id).name;
  emit(UnitsFailedCounted{id, seat, message});
  touch(id);
  const Job& failed = job(id);
  if (failed.state != JobState::kStarting && failed.state != JobState::kRunning) return;
  avoid(failed, worker_id);
  if (failed.failures < kFailuresMax) return;
  stop_job(id, Cause::kFailure,
           "it failed " + std::to_string(kFailuresMax) + " times without progress, last on " +
               where + ": " + message,
           0);
}

void Engine::time_limit_due(JobId id) {
  const Job& late = job(id);
  stop_job(id, Cause::kTimeLimit,
           "it ran for its time limit of " + format_duration(late.demand.time_limit.value()) +
               "; go on with: overwinter jobs resume " + late.name,
           0);
}

}  // namespace overwinter::core
