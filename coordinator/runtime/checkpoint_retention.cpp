#include "coordinator/runtime/checkpoint_retention.h"

#include <unistd.h>

#include "common/base/log.h"
#include "coordinator/runtime/disk_failed.h"

namespace overwinter::runtime {
Status remove_orphans(artifacts::CheckpointStore& checkpoints, const core::ClusterState& state,
                      store::History& history) {
  const auto found = checkpoints.jobs();
  if (!found) return found.error();
  for (const JobId job : *found) {
    if (state.find_job(job) != nullptr) continue;
    const auto past = history.state_of(job);
    if (!past) return past.error();
    if (past->has_value()) continue;
    log_warning("the checkpoints of job {} are removed: there is no such job", job.value());
    if (Status status = checkpoints.drop(job); !status.ok()) return status;
  }
  return Status::success();
}

void end_if_disk_failed(const Status& status) {
  if (!artifacts::is_fatal(status)) return;
  log_error(
      "the checkpoint store's disk failed: {}; ending, so that a restart finds what is durable",
      status.message);
  ::_exit(kDiskFailedExit);
}

}  // namespace overwinter::runtime
