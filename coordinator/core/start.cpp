// The start, and the timers. Every effect that may have been lost with the last process is derived
// again here or at a worker's Hello.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {

void Engine::on(const CoordinatorStarted& event) {
  if (state_.cluster.empty()) {
    emit(ClusterCreated{event.cluster.empty() ? "overwinter" : event.cluster, event.seed});
    emit(ProjectCreated{"default", 0});
  }
  rebuild();
}

void Engine::rebuild() {
  soft_ = {};
  timers_.clear();
  waiting_.clear();
  unfit_.clear();
  slots_.clear();
  open_.clear();
  kept_free_.clear();
  eligible_.clear();
  avoiding_.clear();
  std::int64_t known = 0;
  for (const auto& [id, worker] : state_.workers) known += worker.state != WorkerState::kRemoved;
  soft_.grace_until = now_ + config_.grace_after_start + Duration(known);
  for (const auto& [id, worker] : state_.workers) {
    if (worker.state == WorkerState::kRemoved) {
      effect(EndPrincipal{PrincipalKind::kWorker, id.value()});
      continue;
    }
    WorkerSoft& soft = soft_.workers[id];
    soft.last_sign = now_ - config_.lost_after;
    if (worker.state != WorkerState::kJoined && worker.state != WorkerState::kLost) {
      timers_.set({TimerKind::kLost, id.value()},
                  planted(Bug::kGracePeriodSkipped) ? now_ : soft_.grace_until);
    }
    arm_cut(id);
    update_slots(id);
  }
  std::vector<JobId> ids;
  for (const auto& [id, job] : state_.jobs) ids.push_back(id);
  for (const JobId id : ids) {
    const Job& kept = job(id);
    derive_job_effects(kept);
    if (kept.terminal()) {
      timers_.set({TimerKind::kForget, id.value()}, *kept.ended_at + config_.forget_after);
      continue;
    }
    update_waiting(id);
    eager_.insert(id);
    if (kept.running_since && kept.demand.time_limit) {
      timers_.set(
          {TimerKind::kTimeLimit, id.value()},
          *kept.running_since + (*kept.demand.time_limit - (kept.ran - kept.ran_at_resume)));
    }
    for (const auto& [number, seat] : kept.seats) {
      const TimerSet::Key key{TimerKind::kFund, id.value(), number};
      timers_.set(key, soft_.grace_until);
      if (!seat.stopping) continue;
      timers_.set({TimerKind::kStop, id.value(), number},
                  soft_.grace_until + kept.demand.stop_time);
    }
  }
}

void Engine::derive_job_effects(const Job& job) {
  if (planted(Bug::kEffectNotDerivedAgain) || job.gang()) return;
  const bool done = job.state == JobState::kSucceeded ||
                    (job.state == JobState::kStopping && job.cause == Cause::kDone);
  if (job.attempt > 0 || done) {
    if (job.state != JobState::kFailed && job.state != JobState::kCancelled) {
      effect(PrepareResult{job.id, job.project, job.spec, job.plan});
    }
  }
  if (done) effect(FinishResult{job.id});
  if (job.state == JobState::kFailed || job.state == JobState::kCancelled) {
    effect(DropResult{job.id});
  }
}

void Engine::on(const TimerFired&) {
  while (const auto key = timers_.take_due(now_)) fire(*key);
}

void Engine::fire(const TimerSet::Key& key) {
  const auto seat_key = [&]() -> std::optional<SeatKey> {
    const Job* of = state_.find_job(JobId(key.id));
    if (of == nullptr) return std::nullopt;
    const auto it = of->seats.find(key.number);
    if (it == of->seats.end()) return std::nullopt;
    return it->second.key;
  };
  switch (key.kind) {
    case TimerKind::kLost:
      lost_due(WorkerId(key.id));
      break;
    case TimerKind::kCut:
      cut_due(WorkerId(key.id));
      break;
    case TimerKind::kFund:
      if (const auto seat = seat_key()) fund_due(*seat);
      break;
    case TimerKind::kStop:
      if (const auto seat = seat_key()) stop_due(*seat);
      break;
    case TimerKind::kTimeLimit:
      time_limit_due(JobId(key.id));
      break;
    case TimerKind::kForget:
      forget_due(JobId(key.id));
      break;
    case TimerKind::kStart:
      start_due(JobId(key.id));
      break;
    case TimerKind::kStall:
      stall_due(JobId(key.id));
      break;
  }
}

// Nobody was silent or late in that time: it was the loop that did not listen.
void Engine::on(const LoopStalled& event) {
  soft_.grace_until = std::max(soft_.grace_until, now_) + event.duration;
  for (auto& [id, worker] : soft_.workers) worker.last_sign += event.duration;
  for (auto& [id, job] : soft_.jobs) {
    for (auto& [number, seat] : job.seats) {
      if (!seat.stop_deadline) continue;
      *seat.stop_deadline += event.duration;
      timers_.set({TimerKind::kStop, id.value(), number}, *seat.stop_deadline);
    }
  }
}

}  // namespace overwinter::core
