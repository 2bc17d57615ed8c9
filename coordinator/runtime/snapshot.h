// From the core's state to the views that readers see. Called by the loop's thread between two
// steps.
#pragma once

#include "coordinator/core/scheduler.h"
#include "coordinator/runtime/views.h"

namespace overwinter::core {
struct Job;
}

namespace overwinter::runtime {

// Null when the core does not hold it any more.
[[nodiscard]] JobViewPtr snapshot_job(const core::Scheduler& core, JobId id, Time now);
[[nodiscard]] WorkerViewPtr snapshot_worker(const core::Scheduler& core, WorkerId id, Time now);

// A job as it was when it left the core (from the store's history).
[[nodiscard]] JobViewPtr view_of_past(const core::Job& job);

// What a step changed: the touched jobs and workers, and what its facts say of tokens, projects and
// prices. Added to `change`; a later snapshot of the same job replaces an earlier one of the same
// change.
void note_change(const core::Scheduler& core, const core::Outcome& outcome, Time now,
                 ViewChange& change);
// Everything there is, after a replay.
[[nodiscard]] ViewChange snapshot_all(const core::Scheduler& core, Time now);

}  // namespace overwinter::runtime
