// From a specification and what the workers offer to alternatives, best first. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/demand.h"
#include "common/plan/cluster_offer.h"
#include "common/plan/matmul_problem.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::plan {

// One way to run the job: what the core decides on, and the message that people see and workers
// follow.
struct Alternative {
  Demand demand;
  v1::Plan plan;
};

struct PlanOutcome {
  std::vector<Alternative> alternatives;  // best first, at most 8; empty: nothing fits
  std::vector<v1::RuledOut>
      ruled_out;       // workers and alternatives, each with the number that rules it out
  std::string reason;  // when nothing fits: the numbers, and what would fit
};

// spec: validated (common/spec). With a matmul workload `problem` must be given (matmul_problem()).
// Ranking: with a deadline, plans that are predicted to meet it come first, the cheapest of them
// first; else the fastest first. A predicted cost above the cap is a warning in the plan, never a
// reason to rule out. No available worker of the wanted kind: one alternative for a device of 512
// MiB (or memory_per_device), with a warning that the job will wait. Workers that are known but too
// small: none, and `reason`. Errors: INVALID_ARGUMENT (a word that this release does not run), with
// the field.
[[nodiscard]] Result<PlanOutcome> plan_job(const v1::JobSpec& spec, const MatmulProblem* problem,
                                           const ClusterOffer& offer);

}  // namespace overwinter::plan
