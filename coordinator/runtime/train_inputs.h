// What a training reads, found in the store: sizes of text, shapes of tables, number of classes; as
// a worker will see them (worker/train/data_source.h).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/plan/job_planner.h"
#include "coordinator/artifacts/blob_store.h"

namespace overwinter::runtime {

// "artifact://SHA256" as it stands in a specification. INVALID_ARGUMENT with `field` for anything
// else.
[[nodiscard]] Result<Digest> parse_artifact_uri(std::string_view uri, std::string_view field);

// The stored blob of `uri` in the project; with the field in every error, and NOT_FOUND with what
// to do.
[[nodiscard]] Result<artifacts::Blob> open_input(const artifacts::BlobStore& blobs,
                                                 const std::string& project, const std::string& uri,
                                                 const std::string& field);

// Thread-safe; may wait for the disk. `blobs` outlives it.
class TrainInputs {
 public:
  explicit TrainInputs(const artifacts::BlobStore& blobs) : blobs_(blobs) {}

  // `spec` is a validated training. NOT_FOUND with the field when an input is not stored in the
  // project; INVALID_ARGUMENT with the field when it is not what a worker trains on.
  [[nodiscard]] Result<plan::TrainProblem> read(const v1::JobSpec& spec) const;

 private:
  [[nodiscard]] Result<plan::DataFacts> text(const v1::JobSpec& spec,
                                             plan::TrainProblem& problem) const;
  [[nodiscard]] Result<plan::DataFacts> npy(const v1::JobSpec& spec,
                                            plan::TrainProblem& problem) const;
  [[nodiscard]] Result<plan::DataFacts> csv(const v1::JobSpec& spec,
                                            plan::TrainProblem& problem) const;
  [[nodiscard]] Result<artifacts::Blob> open(const v1::JobSpec& spec, const std::string& uri,
                                             const std::string& field,
                                             plan::TrainProblem& problem) const;

  // What was read of a content, which never changes: jobs are planned again whenever workers
  // change.
  using Key = std::pair<std::string, std::string>;  // digest, target column; of .npy: both names
  [[nodiscard]] std::optional<plan::DataFacts> known(const Key& key) const;
  void keep(const Key& key, const plan::DataFacts& facts) const;

  const artifacts::BlobStore& blobs_;
  mutable Mutex mutex_;
  mutable std::map<Key, plan::DataFacts> known_ OW_GUARDED_BY(mutex_);
  mutable std::deque<Key> order_ OW_GUARDED_BY(mutex_);  // oldest first
};

}  // namespace overwinter::runtime
