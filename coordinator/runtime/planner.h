// Planner: from a specification and the cluster as readers see it to alternatives. Runs on the
// blocking pool: it opens stored matrices for their shapes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/plan/job_planner.h"
#include "coordinator/artifacts/blob_store.h"
#include "coordinator/artifacts/result_store.h"
#include "coordinator/runtime/blocking_pool.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/link_meter.h"
#include "coordinator/runtime/ports.h"
#include "coordinator/runtime/train_inputs.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/history.h"

namespace overwinter::runtime {

[[nodiscard]] std::string artifact_uri(const Digest& digest);

// What the workers known now offer to jobs of `project`; of those that `caller` sees.
[[nodiscard]] plan::ClusterOffer offer_to(const Views& views, const LinkMeter& links,
                                          const Principal& caller, std::string_view project);

// The most memory of the coordinator that the sketch of one product may take (verify/freivalds.h).
inline constexpr std::uint64_t kSketchBytesMax = 512 * kMiB;
// Moves what would need more from the alternatives to what was ruled out; the reason says the
// number and what helps when nothing is left.
void rule_out_large_sketches(plan::PlanOutcome& outcome, std::uint64_t bytes_max = kSketchBytesMax);

// Alternatives in the core's form.
[[nodiscard]] std::vector<core::Alternative> to_core(std::vector<plan::Alternative> alternatives);

// What stands for inputs that are not stored.
struct NotStored {
  std::map<std::string, plan::Factor> shapes = {};  // keys: a, b
  std::optional<plan::TrainProblem> training = {};  // its data are not looked for
};

// Thread-safe.
class Planner final : public ReplanPort {
 public:
  Planner(const Views& views, const LinkMeter& links, const artifacts::BlobStore& blobs,
          const artifacts::ResultStore& results, store::History& history, BlockingPool& pool,
          EventQueue& queue);

  // `spec` is validated. Blocks for a few reads of headers, and once for all of a table whose
  // classes are to be counted. NOT_FOUND with the field when an input is not stored in the project
  // and `not_stored` does not stand for it; INVALID_ARGUMENT when the inputs do not multiply.
  // RESOURCE_EXHAUSTED when the result has no room on the disk.
  [[nodiscard]] Result<plan::PlanOutcome> plan(const Principal& caller, const v1::JobSpec& spec,
                                               const NotStored& not_stored) const;

  // On the pool; posts JobReplanned when something fits.
  void replan(JobId job) override;

 private:
  [[nodiscard]] Result<plan::Factor> factor(const v1::JobSpec& spec, const std::string& key,
                                            const std::string& uri,
                                            const NotStored& not_stored) const;

  const Views& views_;
  const LinkMeter& links_;
  const artifacts::BlobStore& blobs_;
  const TrainInputs train_inputs_;
  const artifacts::ResultStore& results_;
  store::History& history_;
  BlockingPool& pool_;
  EventQueue& queue_;
};

}  // namespace overwinter::runtime
