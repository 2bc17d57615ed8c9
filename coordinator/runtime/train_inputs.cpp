#include "coordinator/runtime/train_inputs.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/plan/data_scan.h"
#include "common/security/capability.h"

namespace overwinter::runtime {
namespace {

constexpr std::string_view kArtifactScheme = "artifact://";
constexpr std::size_t kKnownMax = 1024;

constexpr const char* kFieldText = "workload.train.data.text";
constexpr const char* kFieldX = "workload.train.data.npy.x";
constexpr const char* kFieldY = "workload.train.data.npy.y";
constexpr const char* kFieldCsv = "workload.train.data.csv.path";

plan::ScannedFile scanned(const artifacts::Blob& blob) {
  return {blob.size_bytes, [&blob](std::uint64_t offset, std::span<std::byte> out) {
            return blob.file->read_at(offset, out);
          }};
}

}  // namespace

Result<Digest> parse_artifact_uri(std::string_view uri, std::string_view field) {
  if (uri.starts_with(kArtifactScheme)) {
    if (auto digest = parse_digest(uri.substr(kArtifactScheme.size()))) return *digest;
  }
  return fail(Code::kInvalidArgument,
              std::string(field) + " must name a stored file as artifact://SHA256",
              std::string(field), "upload the file first; the overwinter command does");
}

Result<artifacts::Blob> open_input(const artifacts::BlobStore& blobs, const std::string& project,
                                   const std::string& uri, const std::string& field) {
  const auto digest = parse_artifact_uri(uri, field);
  if (!digest) return fail(digest.error());
  auto blob = blobs.open_blob({project, *digest});
  if (blob) return blob;
  Status status = blob.error();
  status.field = field;
  if (status.code == Code::kNotFound) {
    status.message = "project " + project + " has no stored file " + uri;
    status.hint = "upload it first; the overwinter command does";
  }
  return fail(std::move(status));
}

std::optional<plan::DataFacts> TrainInputs::known(const Key& key) const {
  MutexLock lock(mutex_);
  const auto it = known_.find(key);
  return it == known_.end() ? std::nullopt : std::optional(it->second);
}

void TrainInputs::keep(const Key& key, const plan::DataFacts& facts) const {
  MutexLock lock(mutex_);
  if (!known_.try_emplace(key, facts).second) return;
  order_.push_back(key);
  if (order_.size() <= kKnownMax) return;
  known_.erase(order_.front());
  order_.pop_front();
}

Result<artifacts::Blob> TrainInputs::open(const v1::JobSpec& spec, const std::string& uri,
                                          const std::string& field,
                                          plan::TrainProblem& problem) const {
  auto blob = open_input(blobs_, spec.project(), uri, field);
  if (blob) problem.input_bytes += blob->size_bytes;
  return blob;
}

Result<plan::DataFacts> TrainInputs::text(const v1::JobSpec& spec,
                                          plan::TrainProblem& problem) const {
  plan::DataFacts facts;
  facts.text = true;
  const auto& files = spec.train().data().text();
  // A seat's capability names each, and the weights that it begins with.
  constexpr std::size_t kFilesMax = kCapabilityBlobsMax - 1;
  if (static_cast<std::size_t>(files.size()) > kFilesMax)
    return fail(Code::kInvalidArgument,
                "There are " + std::to_string(files.size()) + " files of text; at most " +
                    std::to_string(kFilesMax) + " are read.",
                kFieldText, "Put them together into fewer files.");
  for (int i = 0; i < files.size(); ++i) {
    const auto blob =
        open(spec, files[i], std::string(kFieldText) + "[" + std::to_string(i) + "]", problem);
    if (!blob) return fail(blob.error());
    facts.samples += blob->size_bytes;
    problem.data_digests.push_back(files[i].substr(kArtifactScheme.size()));
  }
  return facts;
}

Result<plan::DataFacts> TrainInputs::npy(const v1::JobSpec& spec,
                                         plan::TrainProblem& problem) const {
  const v1::NpyData& data = spec.train().data().npy();
  const auto x = open(spec, data.x(), kFieldX, problem);
  if (!x) return fail(x.error());
  const auto y = open(spec, data.y(), kFieldY, problem);
  if (!y) return fail(y.error());
  problem.data_digests = {data.x().substr(kArtifactScheme.size()),
                          data.y().substr(kArtifactScheme.size())};
  const Key key{data.x(), data.y()};
  if (const auto before = known(key)) return *before;
  auto facts = plan::scan_npy(scanned(*x), scanned(*y));
  if (facts) keep(key, *facts);
  return facts;
}

Result<plan::DataFacts> TrainInputs::csv(const v1::JobSpec& spec,
                                         plan::TrainProblem& problem) const {
  const v1::CsvData& data = spec.train().data().csv();
  const auto blob = open(spec, data.path(), kFieldCsv, problem);
  if (!blob) return fail(blob.error());
  problem.data_digests = {data.path().substr(kArtifactScheme.size())};
  const Key key{problem.data_digests[0], data.target()};
  if (const auto before = known(key)) return *before;
  auto facts = plan::scan_csv(scanned(*blob), data.target());
  if (facts) keep(key, *facts);
  return facts;
}

Result<plan::TrainProblem> TrainInputs::read(const v1::JobSpec& spec) const {
  const v1::TrainSpec& train = spec.train();
  plan::TrainProblem problem;
  auto facts = train.data().has_npy()   ? npy(spec, problem)
               : train.data().has_csv() ? csv(spec, problem)
                                        : text(spec, problem);
  if (!facts) return fail(facts.error());
  problem.data = *facts;
  if (!train.init_from().empty()) {
    const auto weights = open(spec, train.init_from(), "workload.train.init_from", problem);
    if (!weights) return fail(weights.error());
    problem.init_digest = train.init_from().substr(kArtifactScheme.size());
  }
  return problem;
}

}  // namespace overwinter::runtime
