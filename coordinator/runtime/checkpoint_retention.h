// Checkpoints and archives, and the jobs that own them.
#pragma once

#include "common/base/result.h"
#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/artifacts/job_archives.h"
#include "coordinator/core/cluster_state.h"
#include "coordinator/runtime/disk_failed.h"
#include "coordinator/store/history.h"

namespace overwinter::runtime {

// At the start, before anybody uses them: removes the checkpoints of jobs that exist nowhere any
// more. Those of an ended job stay as long as the job is in the history: one goes on from them.
// Blocks.
Status remove_orphans(artifacts::CheckpointStore& checkpoints, const core::ClusterState& state,
                      store::History& history);
// The same of what exec jobs left.
Status remove_orphans(artifacts::JobArchives& archives, const core::ClusterState& state,
                      store::History& history);

}  // namespace overwinter::runtime
