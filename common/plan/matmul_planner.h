// Plans of a product: tiles, seats and time. Internal to the room.
#pragma once

#include "common/plan/job_planner.h"
#include "common/plan/plan_limits.h"

namespace overwinter::plan {

// How many seats `units` are worth.
[[nodiscard]] std::uint32_t elastic_seats(const Limits& limits, std::uint64_t units);

[[nodiscard]] PlanOutcome plan_matmul(const v1::JobSpec& spec, const MatmulProblem& problem,
                                      const ClusterOffer& offer, const Limits& limits);

}  // namespace overwinter::plan
