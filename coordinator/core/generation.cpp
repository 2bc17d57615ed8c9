// Generations: a coordinator that was brought back from a backup knows nothing of what came after
// it, and gives no number that may have been given then.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/engine.h"

namespace overwinter::core {

std::uint64_t Engine::fresh_id(std::uint64_t next) const {
  return std::max(next, (state_.generation.number - 1) * kIdsOfGeneration + 1);
}

AttemptNumber Engine::fresh_attempt(const Job& job) const {
  const auto first =
      static_cast<AttemptNumber>(state_.generation.number - 1) * kAttemptsOfGeneration + 1;
  return std::max(job.attempt + 1, first);
}

// Of a worker that is silent nobody knows: what its seats used is as of its last report.
void Engine::on(const UseKeptRequested& event) {
  constexpr Duration kSilentMax{3000};
  for (const auto& [id, worker] : state_.workers) {
    const auto soft = soft_.workers.find(id);
    if (worker.seats.empty() || soft == soft_.workers.end()) continue;
    if (now_ - soft->second.last_sign > kSilentMax) continue;
    // No report is new: that it was there now is what the fact says.
    emit(ReportsProcessed{id, worker.incarnation, worker.reports_processed});
  }
  reply(event.reply, Status::success());
}

// All at the backup's time: a job did not run, and no seat was used, while nobody knows of it. The
// machines are lost from there until they come back, which is what they cost unaccounted for.
void Engine::on(const BackupRestored& event) {
  emit(ClusterRestored{
      {state_.generation.number + 1, event.id, event.turn, event.backup, event.restored}});
  rebuild();
  const std::string why =
      "the coordinator was restored from a backup of " + format_time(event.backup);
  std::vector<WorkerId> workers;
  for (const auto& [id, worker] : state_.workers) workers.push_back(id);
  std::set<JobId> ran;
  for (const WorkerId id : workers) {
    for (const SeatKey key : worker(id).seats) ran.insert(key.job);
    lose_seats(id, why);
    const WorkerState state = worker(id).state;
    if (state != WorkerState::kReady && state != WorkerState::kDraining) continue;
    cut_if_due(id);
    charge_machine(id, now_);
    set_worker(id, WorkerState::kLost, why);
    remove_if_empty(id);
  }
  for (const JobId id : ran) {
    if (job(id).state != JobState::kQueued) continue;
    set_state(id, JobState::kQueued, Cause::kWorkerLost,
              why +
                  ": its seats of that time are lost, and what they used after it is in no bill; "
                  "waiting for a worker to come back");
  }
}

}  // namespace overwinter::core
