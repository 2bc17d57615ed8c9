#include "common/plan/job_planner.h"

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"
#include "common/plan/candidates.h"
#include "common/plan/exec_planner.h"
#include "common/plan/matmul_planner.h"
#include "common/plan/plan_limits.h"
#include "common/plan/train_planner.h"

namespace overwinter::plan {
namespace {

constexpr std::uint64_t kNoopMemory = 1 * kMiB;

PlanOutcome plan_noop(const v1::JobSpec& spec, const ClusterOffer& offer, const Limits& limits) {
  const v1::NoopSpec& noop = spec.noop();
  PlanOutcome outcome;
  Candidates found = find_candidates(offer, {.device = limits.device, .spot = limits.spot});
  outcome.ruled_out = std::move(found.ruled_out);
  Alternative out;
  out.demand = base_demand(spec, limits);
  out.demand.seats_max = elastic_seats(limits, noop.units());
  out.demand.memory_bytes = limits.memory_bytes != 0 ? limits.memory_bytes : kNoopMemory;
  out.demand.threads = 1;
  out.demand.units = noop.units();
  out.demand.units_per_range_max = std::max<std::uint64_t>(1, noop.units_per_range_max());
  out.demand.landing = Landing::kReport;
  *out.plan.mutable_noop() = noop;
  out.plan.set_memory_bytes(kNoopMemory);
  set_prediction(limits, 0, 0, found.devices.size(), offer.currency_code, out);
  out.plan.set_why("Units that do nothing, for tests.");
  outcome.alternatives.push_back(std::move(out));
  return outcome;
}

}  // namespace

Result<PlanOutcome> plan_job(const v1::JobSpec& spec, const JobInputs& inputs,
                             const ClusterOffer& offer) {
  auto limits = limits_of(spec);
  if (!limits) return fail(limits.error());
  switch (spec.workload_case()) {
    case v1::JobSpec::kMatmul:
      if (inputs.matmul == nullptr)
        return fail(Code::kInvalidArgument, "The shapes of A and B are not known.",
                    "workload.matmul.a");
      return plan_matmul(spec, *inputs.matmul, offer, *limits);
    case v1::JobSpec::kTrain:
      if (inputs.train == nullptr)
        return fail(Code::kInvalidArgument, "The data are not known.", "workload.train.data");
      return plan_train(spec, *inputs.train, offer, *limits);
    case v1::JobSpec::kExec:
      return plan_exec(spec, inputs.exec_peak_bytes, offer, *limits);
    case v1::JobSpec::kNoop:
      return plan_noop(spec, offer, *limits);
    case v1::JobSpec::WORKLOAD_NOT_SET:
      break;
  }
  return fail(Code::kInvalidArgument, "The job has no workload.", "workload");
}

}  // namespace overwinter::plan
