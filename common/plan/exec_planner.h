// Plans of the user's own program: which devices, how much of their memory. Internal to the room.
#pragma once

#include "common/plan/job_planner.h"
#include "common/plan/plan_limits.h"

namespace overwinter::plan {

// measured_bytes: the peak of a device in an earlier run; 0: none is known.
[[nodiscard]] PlanOutcome plan_exec(const v1::JobSpec& spec, std::uint64_t measured_bytes,
                                    const ClusterOffer& offer, const Limits& limits);

}  // namespace overwinter::plan
