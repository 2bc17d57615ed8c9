// Plans of a training: how many ranks, what each holds, time of a step. Internal to the room.
#pragma once

#include "common/plan/job_planner.h"
#include "common/plan/plan_limits.h"

namespace overwinter::plan {

// INVALID_ARGUMENT with the field when model, data and batch do not go together.
[[nodiscard]] Result<PlanOutcome> plan_train(const v1::JobSpec& spec, const TrainProblem& problem,
                                             const ClusterOffer& offer, const Limits& limits);

}  // namespace overwinter::plan
