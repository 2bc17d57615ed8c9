// What people ask of workers: drain, remove, resume.
#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

std::string by_whom(const Principal& by) {
  return by.kind == PrincipalKind::kSystem ? "by the coordinator" : "by a person";
}

}  // namespace

void Engine::drain(WorkerId id, std::string reason, std::uint64_t actor, bool removing) {
  const Worker& drained = worker(id);
  if (!drained.draining || (removing && !drained.removing)) {
    set_worker(id, WorkerState::kDraining, std::move(reason), actor, removing);
  }
  const std::vector<SeatKey> keys(drained.seats.begin(), drained.seats.end());
  for (const SeatKey key : keys) {
    if (job(key.job).gang()) break_attempt(key.job, Cause::kDrain);
    stop_seat(key, Cause::kDrain);
  }
  remove_if_empty(id);
}

void Engine::remove_if_empty(WorkerId id) {
  const Worker& leaving = worker(id);
  if (!leaving.removing || !leaving.seats.empty() || leaving.state == WorkerState::kRemoved) return;
  cut_if_due(id);
  if (!planted(Bug::kMachineChargeAtRemovalSkipped)) charge_machine(id, now_);
  charge_minimum(id);
  set_worker(id, WorkerState::kRemoved, "removed");
  effect(EndPrincipal{PrincipalKind::kWorker, id.value()});
  timers_.cancel({TimerKind::kLost, id.value()});
  timers_.cancel({TimerKind::kCut, id.value()});
  soft_.workers.erase(id);
  workers_changed(id);
}

void Engine::on(const WorkerActionRequested& event) {
  const Worker* found = state_.find_worker(event.worker);
  Status status;
  if (found == nullptr) {
    status = error(Code::kNotFound, "there is no such worker", "name", "overwinter workers list");
  } else if (found->state == WorkerState::kRemoved) {
    if (event.action != WorkerAction::kRemove) {
      status = error(Code::kFailedPrecondition, "worker " + found->name + " was removed");
    }
  } else {
    switch (event.action) {
      case WorkerAction::kDrain:
        drain(event.worker, "drained " + by_whom(event.by), event.by.id, false);
        break;
      case WorkerAction::kRemove:
        drain(event.worker, "removed by a person", event.by.id, true);
        break;
      case WorkerAction::kResume:
        if (found->removing) {
          status = error(Code::kFailedPrecondition, "worker " + found->name + " is being removed");
        } else if (found->draining) {
          resume_worker(*found, event.by);
        }
        break;
    }
  }
  Reply answer;
  answer.reply = event.reply;
  if (status.ok()) answer.worker = event.worker;
  answer.status = std::move(status);
  effect(std::move(answer));
}

void Engine::resume_worker(const Worker& drained, const Principal& by) {
  const bool away = drained.state == WorkerState::kLost || !drained.incarnation.valid();
  set_worker(drained.id, away ? WorkerState::kJoined : WorkerState::kReady,
             "resumed " + by_whom(by), by.id);
}

}  // namespace overwinter::core
