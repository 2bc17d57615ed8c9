#include "coordinator/runtime/train_inputs.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/formats/npy.h"
#include "common/security/capability.h"
#include "coordinator/runtime/csv_scan.h"

namespace overwinter::runtime {
namespace {

constexpr std::string_view kArtifactScheme = "artifact://";
constexpr std::size_t kPieceBytes = kMiB;
constexpr std::size_t kKnownMax = 1024;

constexpr const char* kFieldText = "workload.train.data.text";
constexpr const char* kFieldX = "workload.train.data.npy.x";
constexpr const char* kFieldY = "workload.train.data.npy.y";
constexpr const char* kFieldCsv = "workload.train.data.csv.path";

Status check_scanned(std::uint64_t bytes, const std::string& field) {
  if (bytes <= kTableScanBytesMax) return Status::success();
  return error(Code::kInvalidArgument,
               "It has " + format_bytes(bytes) + "; at most " + format_bytes(kTableScanBytesMax) +
                   " of it are read to plan.",
               field, "Save inputs as a .npy file, and targets as float32 or int8.");
}

// Pieces from `offset` to `end`, each but the last of kPieceBytes.
Status for_each_piece(const artifacts::Blob& blob, std::uint64_t offset, std::uint64_t end,
                      const std::function<Status(std::span<const std::byte>)>& take) {
  std::vector<std::byte> piece(std::min<std::uint64_t>(kPieceBytes, end - offset));
  while (offset < end) {
    const std::span out(piece.data(), std::min<std::uint64_t>(piece.size(), end - offset));
    if (Status s = blob.file->read_at(offset, out); !s.ok()) return s;
    if (Status s = take(out); !s.ok()) return s;
    offset += out.size();
  }
  return Status::success();
}

Result<formats::NpyHeader> header_of(const artifacts::Blob& blob, const std::string& field) {
  auto header = formats::read_npy_header(blob.size_bytes,
                                         [&](std::uint64_t offset, std::span<std::byte> out) {
                                           return blob.file->read_at(offset, out);
                                         });
  if (header) return header;
  Status status = header.error();
  status.field = field;
  return fail(std::move(status));
}

template <class T>
std::pair<std::int64_t, std::int64_t> bounds_as(std::span<const std::byte> piece) {
  std::pair<std::int64_t, std::int64_t> bounds{INT64_MAX, INT64_MIN};
  for (std::size_t i = 0; i + sizeof(T) <= piece.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, piece.data() + i, sizeof(value));
    bounds.first = std::min<std::int64_t>(bounds.first, value);
    bounds.second = std::max<std::int64_t>(bounds.second, value);
  }
  return bounds;
}

// The number of classes of a column of whole numbers.
Result<std::uint64_t> count_classes(const artifacts::Blob& y, const formats::NpyHeader& header) {
  if (Status s = check_scanned(header.data_bytes(), kFieldY); !s.ok()) return fail(std::move(s));
  std::int64_t least = 0;
  std::int64_t most = -1;
  // A piece holds whole elements: its size is a multiple of each of theirs.
  Status read = for_each_piece(
      y, header.data_offset, header.file_bytes(), [&](std::span<const std::byte> piece) {
        const auto bounds = header.dtype == formats::Dtype::kInt8 ? bounds_as<std::int8_t>(piece)
                            : header.dtype == formats::Dtype::kInt32
                                ? bounds_as<std::int32_t>(piece)
                                : bounds_as<std::int64_t>(piece);
        least = std::min(least, bounds.first);
        most = std::max(most, bounds.second);
        return Status::success();
      });
  if (!read.ok()) return fail(std::move(read));
  const std::int64_t wrong = least < 0 ? least : most;
  if (least < 0 || most >= static_cast<std::int64_t>(plan::kTrainClassesMax))
    return fail(Code::kInvalidArgument,
                "y holds " + std::to_string(wrong) +
                    "; whole numbers are classes and lie from 0 to 65,535.",
                kFieldY, "For values to approximate save y as float32.");
  return static_cast<std::uint64_t>(most + 1);
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
  const auto inputs = header_of(*x, kFieldX);
  if (!inputs) return fail(inputs.error());
  const auto outputs = header_of(*y, kFieldY);
  if (!outputs) return fail(outputs.error());
  if (inputs->rows != outputs->rows)
    return fail(Code::kInvalidArgument,
                "x has " + std::to_string(inputs->rows) + " rows and y has " +
                    std::to_string(outputs->rows) + "; they must be as many.",
                kFieldY);
  plan::DataFacts facts;
  facts.samples = inputs->rows;
  facts.inputs = inputs->columns;
  facts.outputs = outputs->columns;
  facts.classes = outputs->dtype >= formats::Dtype::kInt8 && outputs->columns == 1;
  if (!facts.classes) return facts;
  const Key key{problem.data_digests[1], ""};
  if (const auto before = known(key)) {
    facts.outputs = before->outputs;
    return facts;
  }
  const auto classes = count_classes(*y, *outputs);
  if (!classes) return fail(classes.error());
  facts.outputs = *classes;
  keep(key, facts);
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
  if (Status s = check_scanned(blob->size_bytes, kFieldCsv); !s.ok()) return fail(std::move(s));
  CsvScan scan(data.target());
  Status read = for_each_piece(*blob, 0, blob->size_bytes, [&](std::span<const std::byte> piece) {
    return scan.add({reinterpret_cast<const char*>(piece.data()), piece.size()});
  });
  if (!read.ok()) return fail(std::move(read));
  auto facts = scan.finish();
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
  if (train.init_from().starts_with(kArtifactScheme)) {
    const auto weights = open(spec, train.init_from(), "workload.train.init_from", problem);
    if (!weights) return fail(weights.error());
    problem.init_digest = train.init_from().substr(kArtifactScheme.size());
  }
  return problem;
}

}  // namespace overwinter::runtime
