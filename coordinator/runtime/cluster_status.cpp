#include "coordinator/runtime/cluster_status.h"

#include "common/base/version.h"
#include "common/wire/convert.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::runtime {
namespace {

void count_workers(const Views& views, const Principal& caller, v1::ClusterStatus& out) {
  std::uint32_t ready = 0;
  std::uint32_t draining = 0;
  std::uint32_t lost = 0;
  for (const auto& worker : views.workers()) {
    if (!sees_worker(caller, *worker)) continue;
    if (worker->state == core::WorkerState::kReady) ++ready;
    if (worker->state == core::WorkerState::kDraining) ++draining;
    if (worker->state == core::WorkerState::kLost) ++lost;
  }
  out.set_workers_ready(ready);
  out.set_workers_draining(draining);
  out.set_workers_lost(lost);
}

void count_jobs(const Views& views, const std::string& project, v1::ClusterStatus& out) {
  std::uint32_t queued = 0;
  std::uint32_t running = 0;
  std::uint32_t paused = 0;
  std::uint32_t unfunded = 0;
  for (const auto& job : views.jobs(project)) {
    if (job->state == core::JobState::kQueued) ++queued;
    if (job->state == core::JobState::kPaused) ++paused;
    if (job->waits_for_budget) ++unfunded;
    if (job->state == core::JobState::kStarting || job->state == core::JobState::kRunning ||
        job->state == core::JobState::kStopping) {
      ++running;
    }
  }
  out.set_jobs_queued(queued);
  out.set_jobs_running(running);
  out.set_jobs_paused(paused);
  out.set_jobs_waiting_for_budget(unfunded);
}

}  // namespace

Result<v1::ClusterStatus> cluster_status(const Views& views, const Costs& costs,
                                         store::Store& store, const Serving& serving,
                                         const Principal& caller, Time now) {
  v1::ClusterStatus out;
  out.set_cluster(views.cluster()->cluster);
  out.set_version(kVersion);
  *out.mutable_now() = wire::to_proto(now);
  *out.mutable_started() = wire::to_proto(serving.started);
  out.set_dashboard(serving.dashboard);
  out.set_disk_full(!store.disk_room().ok());
  const core::StoreGeneration generation = views.cluster()->generation;
  out.set_generation(generation.number);
  if (generation.is_restored()) {
    *out.mutable_restored_time() = wire::to_proto(generation.restored);
    *out.mutable_backup_time() = wire::to_proto(generation.backup);
  }
  count_workers(views, caller, out);
  count_jobs(views, caller.project, out);
  const bool machines = may(caller, Permission::kReadAllMoney) && caller.project.empty();
  if (Status status = costs.fill_status(machines, caller.project, now, out); !status.ok()) {
    return fail(std::move(status));
  }
  return out;
}

}  // namespace overwinter::runtime
