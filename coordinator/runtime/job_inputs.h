// What a job reads: the uploaded files that its plan and its specification name.
#pragma once

#include <string>
#include <vector>

#include "coordinator/artifacts/blob_store.h"
#include "coordinator/core/cluster_state.h"

namespace overwinter::v1 {
class JobSpec;
class Plan;
}  // namespace overwinter::v1

namespace overwinter::runtime {

// Digests as texts; one that is empty names nothing.
[[nodiscard]] std::vector<std::string> input_digests(const v1::JobSpec& spec, const v1::Plan& plan);

struct NeededBlob {
  artifacts::BlobKey key;
  std::string job;  // one that needs it, projects/P/jobs/J
};
// What the jobs that have not ended read, each once, by key.
[[nodiscard]] std::vector<NeededBlob> needed_blobs(const core::ClusterState& state);

}  // namespace overwinter::runtime
