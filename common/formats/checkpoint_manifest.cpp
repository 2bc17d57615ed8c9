#include "common/formats/checkpoint_manifest.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/bytes.h"
#include "common/formats/digest.h"
#include "common/formats/strict_json.h"

namespace overwinter::formats {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kFormat = "overwinter-checkpoint";
constexpr std::string_view kBeforeSum = "{\"sha256\":\"";
constexpr std::string_view kAfterSum = "\",\"manifest\":";
constexpr std::string_view kEnd = "}\n";
constexpr std::size_t kSumDigits = 64;
constexpr std::size_t kDepthMax = 3;

std::string body_sum(std::string_view body) {
  return to_hex(sha256(std::as_bytes(std::span(body))));
}

Status bad_manifest(std::string what, std::string field = {}) {
  return error(Code::kInvalidArgument,
               fmt::format("The manifest of a checkpoint is damaged: {}.", what), std::move(field));
}

// Takes the members of one object; the first that is missing or of another kind is remembered, and
// so is how many were taken.
class Members {
 public:
  explicit Members(const Json& json) : json_(json) {}

  std::uint64_t number(const char* key,
                       std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    const Json* found = take(key);
    if (found && found->is_number_unsigned() && found->get<std::uint64_t>() <= most)
      return found->get<std::uint64_t>();
    return wrong(key), 0;
  }
  std::string text(const char* key) {
    const Json* found = take(key);
    if (found && found->is_string()) return found->get<std::string>();
    return wrong(key), std::string();
  }
  Digest digest(const char* key) {
    const Result<Digest> parsed = parse_digest(text(key));
    if (!parsed) wrong(key);
    return parsed.value_or(Digest{});
  }
  std::optional<double> optional_real(const char* key) {
    if (!json_.contains(key)) return std::nullopt;
    const Json* found = take(key);
    if (found->is_number()) return found->get<double>();
    return wrong(key), std::nullopt;
  }
  const Json& list(const char* key) {
    static const Json kEmpty = Json::array();
    const Json* found = take(key);
    if (found && found->is_array()) return *found;
    return wrong(key), kEmpty;
  }
  void wrong(const char* key) {
    if (wrong_.empty()) wrong_ = key;
  }
  [[nodiscard]] Status status() const {
    if (!wrong_.empty()) return bad_manifest("\"" + wrong_ + "\" is missing or wrong", wrong_);
    if (json_.size() != taken_) return bad_manifest("it has a key that this version does not know");
    return Status::success();
  }

 private:
  const Json* take(const char* key) {
    const auto found = json_.find(key);
    if (found == json_.end()) return nullptr;
    ++taken_;
    return &*found;
  }

  const Json& json_;
  std::size_t taken_ = 0;
  std::string wrong_;
};

Result<CheckpointFile> read_file(const Json& json) {
  if (!json.is_object()) return fail(bad_manifest("a file of it is no object", "files"));
  Members members(json);
  CheckpointFile file;
  file.name = members.text("name");
  file.size_bytes = members.number("sizeBytes");
  file.digest = members.digest("digest");
  const Result<CheckpointFileKind> kind = parse_checkpoint_file_kind(members.text("kind"));
  if (!kind) members.wrong("kind");
  file.kind = kind.value_or(CheckpointFileKind::kWeights);
  if (Status status = members.status(); !status.ok()) return fail(std::move(status));
  return file;
}

Result<CheckpointManifest> read_body(const Json& json) {
  Members members(json);
  if (members.text("format") != kFormat) members.wrong("format");
  const std::uint64_t version = members.number("version");
  if (version != kCheckpointManifestVersion)
    return fail(Code::kFailedPrecondition,
                fmt::format("The manifest of a checkpoint is of version {}, and this program reads "
                            "{}.",
                            version, kCheckpointManifestVersion),
                {}, "Use the version of Overwinter that wrote it.");
  CheckpointManifest manifest;
  manifest.job = JobId(members.number("job"));
  manifest.attempt = static_cast<AttemptNumber>(
      members.number("attempt", std::numeric_limits<AttemptNumber>::max()));
  manifest.step = members.number("step");
  manifest.parameters = members.digest("parametersDigest");
  manifest.world_size = static_cast<std::uint32_t>(members.number("worldSize", 1U << 31U));
  manifest.data_position = members.number("dataPosition");
  manifest.loss = members.optional_real("loss");
  const Result<Time> stored = parse_time(members.text("stored"));
  if (!stored) members.wrong("stored");
  manifest.stored = stored.value_or(Time{});
  const Json& files = members.list("files");
  if (Status status = members.status(); !status.ok()) return fail(std::move(status));
  if (files.size() > kCheckpointFilesMax)
    return fail(bad_manifest("it has too many files", "files"));
  for (const Json& entry : files) {
    Result<CheckpointFile> file = read_file(entry);
    if (!file) return fail(std::move(file.error()));
    manifest.files.push_back(std::move(*file));
  }
  if (Status status = check_checkpoint(manifest); !status.ok())
    return fail(bad_manifest(status.message, status.field));
  return manifest;
}

}  // namespace

std::string write_checkpoint_manifest(const CheckpointManifest& manifest) {
  OrderedJson json;
  json["format"] = kFormat;
  json["version"] = kCheckpointManifestVersion;
  json["job"] = manifest.job.value();
  json["attempt"] = manifest.attempt;
  json["step"] = manifest.step;
  json["parametersDigest"] = to_hex(manifest.parameters);
  json["worldSize"] = manifest.world_size;
  json["dataPosition"] = manifest.data_position;
  if (manifest.loss) json["loss"] = *manifest.loss;
  json["stored"] = format_time(manifest.stored);
  OrderedJson& files = json["files"] = OrderedJson::array();
  for (const CheckpointFile& file : manifest.files)
    files.push_back({{"name", file.name},
                     {"sizeBytes", file.size_bytes},
                     {"digest", to_hex(file.digest)},
                     {"kind", checkpoint_file_kind_name(file.kind)}});
  const std::string body = json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  return fmt::format("{}{}{}{}{}", kBeforeSum, body_sum(body), kAfterSum, body, kEnd);
}

Result<CheckpointManifest> read_checkpoint_manifest(std::string_view text) {
  if (text.size() > kCheckpointManifestBytesMax)
    return fail(bad_manifest(
        fmt::format("it has more than {}", format_bytes(kCheckpointManifestBytesMax))));
  const std::size_t around = kBeforeSum.size() + kSumDigits + kAfterSum.size();
  if (text.size() < around + kEnd.size() || !text.starts_with(kBeforeSum) ||
      text.substr(around - kAfterSum.size(), kAfterSum.size()) != kAfterSum ||
      !text.ends_with(kEnd))
    return fail(bad_manifest("it is none, or cut short"));
  const std::string_view body = text.substr(around, text.size() - around - kEnd.size());
  if (text.substr(kBeforeSum.size(), kSumDigits) != body_sum(body))
    return fail(bad_manifest("its checksum is another one"));
  const Result<Json> json = parse_strict_object(body, kDepthMax);
  if (!json) return fail(bad_manifest(json.error().message));
  return read_body(*json);
}

}  // namespace overwinter::formats
