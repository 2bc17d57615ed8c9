#include "coordinator/runtime/checkpoint_retention.h"

#include <string_view>
#include <vector>

#include "common/base/log.h"

namespace overwinter::runtime {
namespace {

template <class Store>
Status remove_of_nobody(Store& store, std::string_view what, const std::vector<JobId>& jobs,
                        const core::ClusterState& state, store::History& history) {
  for (const JobId job : jobs) {
    if (state.find_job(job) != nullptr) continue;
    const auto past = history.state_of(job);
    if (!past) return past.error();
    if (past->has_value()) continue;
    log_warning("the {} of job {} are removed: there is no such job", what, job.value());
    if (Status status = store.drop(job); !status.ok()) return status;
  }
  return Status::success();
}

}  // namespace

Status remove_orphans(artifacts::CheckpointStore& checkpoints, const core::ClusterState& state,
                      store::History& history) {
  const auto found = checkpoints.jobs();
  if (!found) return found.error();
  return remove_of_nobody(checkpoints, "checkpoints", *found, state, history);
}

Status remove_orphans(artifacts::JobArchives& archives, const core::ClusterState& state,
                      store::History& history) {
  return remove_of_nobody(archives, "outputs", archives.jobs(), state, history);
}

}  // namespace overwinter::runtime
