// From a specification and what the workers offer to alternatives, best first. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/demand.h"
#include "common/plan/cluster_offer.h"
#include "common/plan/matmul_problem.h"
#include "common/plan/train_shape.h"
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

// What a training reads, as the caller found it.
struct TrainProblem {
  DataFacts data;
  std::vector<std::string> data_digests;  // text in order; x, y; or the CSV. Hexadecimal
  std::string init_digest;                // of a stored .safetensors file; else empty
  std::uint64_t input_bytes = 0;          // of all of these, for each worker
};

// Matrices or data must be given for workloads that have such; not owned.
struct JobInputs {
  const MatmulProblem* matmul = nullptr;
  const TrainProblem* train = nullptr;
  // Of a device, of an earlier run of the same program; 0: none is known.
  std::uint64_t exec_peak_bytes = 0;
};

// spec: validated (common/spec). Products run elastic, training and programs as gangs, whose
// `workers` count machines with COUNT devices each; those that could form one are on one host or
// one network. Ranking: with a deadline, plans that are predicted to meet it come first, the
// cheapest of them first; else the fastest first. A predicted cost above the cap is a warning in
// the plan, never a reason to rule out. No available worker of the wanted kind: one alternative,
// with a warning that the job will wait. Workers that are known but too small: none, and `reason`.
// A gang whose workers are too few waits too. Errors: INVALID_ARGUMENT with the field: a transport
// that such a workload does not run over; model, data and batch that do not go together.
[[nodiscard]] Result<PlanOutcome> plan_job(const v1::JobSpec& spec, const JobInputs& inputs,
                                           const ClusterOffer& offer);

}  // namespace overwinter::plan
