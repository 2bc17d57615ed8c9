// Plans of the user's own program: which devices, how much of their memory. Internal to the room.
#pragma once

#include "common/plan/job_planner.h"
#include "common/plan/plan_limits.h"

namespace overwinter::plan {

[[nodiscard]] PlanOutcome plan_exec(const v1::JobSpec& spec, const ClusterOffer& offer,
                                    const Limits& limits);

}  // namespace overwinter::plan
