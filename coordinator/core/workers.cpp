// What becomes of a worker when it speaks no more. Signs of life are soft.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {

void Engine::set_worker(WorkerId id, WorkerState state, std::string reason, std::uint64_t actor,
                        bool removing) {
  emit(WorkerStateChanged{id, state, std::move(reason), actor, removing});
  touch(id);
  update_slots(id);
  if (state == WorkerState::kReady) return;
  std::erase_if(kept_free_, [id](const auto& held) { return held.first.first == id; });
  // A job that failed elsewhere and waits for this worker may try the others again.
  for (const JobId job_id : avoiding_) eager_.insert(job_id);
}

void Engine::sign_of_life(WorkerId id) {
  soft_.workers[id].last_sign = now_;
}

void Engine::on(const WorkerDisconnected& event) {
  const Worker* gone = state_.find_worker(event.worker);
  if (gone == nullptr || gone->incarnation != event.incarnation) return;
  const auto soft = soft_.workers.find(event.worker);
  if (soft == soft_.workers.end() || !soft->second.connected) return;
  soft->second.connected = false;
  touch(event.worker);
  update_slots(event.worker);
}

void Engine::lost_due(WorkerId id) {
  const Worker* silent = state_.find_worker(id);
  if (silent == nullptr) return;
  if (silent->state != WorkerState::kReady && silent->state != WorkerState::kDraining) return;
  WorkerSoft& soft = soft_.workers[id];
  const Time grace = planted(Bug::kGracePeriodSkipped) ? Time{} : soft_.grace_until;
  const Time due = std::max(soft.last_sign + lost_after(*silent), grace);
  if (now_ < due) {
    timers_.set({TimerKind::kLost, id.value()}, due);
    return;
  }
  soft.connected = false;
  const std::string silence =
      format_duration(now_ - std::max(soft.last_sign, silent->registered_at));
  lose_seats(id, silent->name + " was lost after " + silence + " without a sign of life");
  if (silent->state == WorkerState::kRemoved) return;  // it was leaving, and held a last seat
  cut_if_due(id);
  charge_machine(id, now_);
  set_worker(id, WorkerState::kLost, "not heard of for " + silence);
  remove_if_empty(id);
}

// A gang waits for each of its members, and pays for all of them meanwhile.
Duration Engine::lost_after(const Worker& host) const {
  const bool gang = std::any_of(host.seats.begin(), host.seats.end(),
                                [this](const SeatKey& key) { return job(key.job).gang(); });
  return gang ? std::min(config_.lost_after, config_.gang_lost_after) : config_.lost_after;
}

void Engine::lose_seats(WorkerId id, const std::string& why) {
  std::set<JobId> jobs;
  const std::vector<SeatKey> keys(worker(id).seats.begin(), worker(id).seats.end());
  for (const SeatKey key : keys) {
    release_lost(key, why);
    jobs.insert(key.job);
  }
  for (const JobId job_id : jobs) after_release(job_id, id);
}

}  // namespace overwinter::core
