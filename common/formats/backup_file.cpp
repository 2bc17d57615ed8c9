#include "common/formats/backup_file.h"

#include <fmt/format.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/formats/strict_json.h"

namespace overwinter::formats {
namespace {

constexpr std::string_view kBackupFormat = "overwinter-backup";
constexpr std::size_t kManifestDepthMax = 4;
constexpr std::size_t kManifestBytesMax = std::size_t{160} << 20;
constexpr std::size_t kClusterNameMax = 63;
constexpr std::size_t kProgramMax = 64;

using Json = nlohmann::json;

Status bad(std::string_view what) {
  return error(Code::kInvalidArgument, fmt::format("the backup's manifest is damaged: {}", what));
}

// Members of an object; the first that is missing or wrong is remembered.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}
  std::string text(const char* name, std::size_t max) {
    const auto it = json_.find(name);
    if (it == json_.end() || !it->is_string()) return wrong(name), std::string();
    const auto& value = it->get_ref<const std::string&>();
    return value.size() <= max ? value : (wrong(name), std::string());
  }
  std::uint64_t number(const char* name) {
    const auto it = json_.find(name);
    if (it == json_.end() || !it->is_number_unsigned()) return wrong(name), 0;
    return it->get<std::uint64_t>();
  }
  bool truth(const char* name) {
    const auto it = json_.find(name);
    if (it == json_.end() || !it->is_boolean()) return wrong(name), false;
    return it->get<bool>();
  }
  Digest digest(const char* name) {
    auto value = parse_digest(text(name, 64));
    return value ? *value : (wrong(name), Digest());
  }
  Time time(const char* name) {
    auto value = parse_time(text(name, 64));
    return value ? *value : (wrong(name), Time());
  }
  void wrong(std::string_view name) {
    if (wrong_.empty()) wrong_ = name;
  }
  [[nodiscard]] Status status() const {
    return wrong_.empty() ? Status::success() : bad("\"" + wrong_ + "\" is missing or wrong");
  }

 private:
  const Json& json_;
  std::string wrong_;
};

std::string json_text(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string write_backup_manifest(const BackupManifest& manifest) {
  std::string out = fmt::format(
      "{{\"format\": \"{}\", \"version\": {}, \"cluster\": {}, \"generation\": {}, \"turn\": {},\n"
      " \"turnHash\": \"{}\", \"turnTime\": \"{}\", \"taken\": \"{}\", \"program\": {}, \"keys\": "
      "{},\n \"members\": [",
      kBackupFormat, kBackupVersion, json_text(manifest.cluster), manifest.generation,
      manifest.turn, to_hex(manifest.turn_hash), format_time(manifest.turn_time),
      format_time(manifest.taken), json_text(manifest.program), manifest.keys);
  const char* before = "\n";
  for (const BackupMember& member : manifest.members) {
    out += fmt::format("{}{{\"name\": {}, \"sizeBytes\": {}, \"sha256\": \"{}\"}}", before,
                       json_text(member.name), member.size_bytes, to_hex(member.sha256));
    before = ",\n";
  }
  return out + "]}\n";
}

Result<BackupManifest> read_backup_manifest(std::string_view text) {
  const Result<Json> json = parse_strict_object(text, kManifestDepthMax);
  if (!json) return fail(bad(json.error().message));
  Fields fields(*json);
  if (fields.text("format", kBackupFormat.size()) != kBackupFormat) fields.wrong("format");
  const std::uint64_t version = fields.number("version");
  if (fields.status().ok() && version != kBackupVersion)
    return fail(Code::kFailedPrecondition,
                fmt::format("the backup is of version {}, and this program reads {}", version,
                            kBackupVersion),
                {}, "restore it with the version of Overwinter that wrote it");
  BackupManifest out;
  out.cluster = fields.text("cluster", kClusterNameMax);
  out.generation = fields.number("generation");
  out.turn = fields.number("turn");
  out.turn_hash = fields.digest("turnHash");
  out.turn_time = fields.time("turnTime");
  out.taken = fields.time("taken");
  out.program = fields.text("program", kProgramMax);
  out.keys = fields.truth("keys");
  const auto members = json->find("members");
  if (members == json->end() || !members->is_array() || members->size() > kBackupMembersMax)
    fields.wrong("members");
  if (Status status = fields.status(); !status.ok()) return fail(std::move(status));
  out.members.reserve(members->size());
  for (const Json& entry : *members) {
    if (!entry.is_object()) return fail(bad("a member is none"));
    Fields of(entry);
    BackupMember member;
    member.name = of.text("name", kTarNameMax);
    member.size_bytes = of.number("sizeBytes");
    member.sha256 = of.digest("sha256");
    if (Status status = of.status(); !status.ok()) return fail(std::move(status));
    out.members.push_back(std::move(member));
  }
  return out;
}

BackupReader::BackupReader(TarSink* members) : members_(members), tar_(*this) {}
BackupReader::~BackupReader() = default;

Status BackupReader::begin(const TarMember& member) {
  if (in_manifest_) {
    return error(Code::kInvalidArgument, "the backup goes on behind its manifest");
  }
  if (member.name == kBackupManifestName) {
    in_manifest_ = true;
    if (member.size_bytes > kManifestBytesMax) return bad("it is too long");
    return Status::success();
  }
  if (seen_.size() >= kBackupMembersMax) {
    return error(Code::kInvalidArgument, "the backup has too many members");
  }
  seen_.push_back({member.name, member.size_bytes, {}});
  hash_.restart();
  return members_ != nullptr ? members_->begin(member) : Status::success();
}

Status BackupReader::data(std::span<const std::byte> piece) {
  if (in_manifest_) {
    manifest_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return Status::success();
  }
  hash_.update(piece);
  return members_ != nullptr ? members_->data(piece) : Status::success();
}

Status BackupReader::end() {
  if (in_manifest_) return Status::success();
  seen_.back().sha256 = hash_.finish();
  return members_ != nullptr ? members_->end() : Status::success();
}

Result<BackupManifest> BackupReader::finish() {
  if (Status status = tar_.finish(); !status.ok()) return fail(std::move(status));
  if (!in_manifest_) return fail(Code::kDataLoss, "the backup has no manifest");
  auto manifest = read_backup_manifest(manifest_);
  if (!manifest) return manifest;
  for (std::size_t i = 0; i < std::max(seen_.size(), manifest->members.size()); ++i) {
    if (i >= seen_.size())
      return fail(Code::kDataLoss, "the backup lacks " + manifest->members[i].name);
    if (i >= manifest->members.size() || seen_[i].name != manifest->members[i].name)
      return fail(Code::kDataLoss, "the backup's manifest does not name " + seen_[i].name);
    if (seen_[i] != manifest->members[i])
      return fail(Code::kDataLoss, "the backup is damaged: " + seen_[i].name +
                                       " has other content than its manifest says");
  }
  return manifest;
}

}  // namespace overwinter::formats
