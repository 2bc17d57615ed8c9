#include "common/domain/checkpoint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace overwinter {
namespace {

constexpr std::array<std::pair<CheckpointFileKind, std::string_view>, 4> kKindNames{{
    {CheckpointFileKind::kWeights, "weights"},
    {CheckpointFileKind::kOptimizer, "optimizer"},
    {CheckpointFileKind::kState, "state"},
    {CheckpointFileKind::kUserFile, "user-file"},
}};

Status bad(std::string what, std::string field) {
  return error(Code::kInvalidArgument, std::move(what), std::move(field));
}

// The length of the UTF-8 sequence that begins here; 0 when there is none. Shortest form, no
// surrogates, at most U+10FFFF (RFC 3629, section 4).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&](std::size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xbf; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const bool second = (lead != 0xe0 || byte(1) >= 0xa0) && (lead != 0xed || byte(1) <= 0x9f);
    return second && tail(1) && tail(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = (lead != 0xf0 || byte(1) >= 0x90) && (lead != 0xf4 || byte(1) <= 0x8f);
    return second && tail(1) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

bool plain_text(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t length = utf8_length(text);
    if (length == 0 || first < 0x20 || first == 0x7f || first == '\\') return false;
    text.remove_prefix(length);
  }
  return true;
}

Status check_files(const std::vector<CheckpointFile>& files) {
  if (files.empty()) return bad("A checkpoint has at least one file.", "files");
  if (files.size() > kCheckpointFilesMax)
    return bad("A checkpoint has " + std::to_string(files.size()) + " files; the most is " +
                   std::to_string(kCheckpointFilesMax) + ".",
               "files");
  std::size_t name_bytes = 0;
  std::uint64_t bytes = 0;
  std::set<std::string_view> names;
  for (const CheckpointFile& file : files) {
    if (Status status = check_checkpoint_path(file.name); !status.ok()) return status;
    name_bytes += file.name.size();
    constexpr std::uint64_t kBytesMax = std::numeric_limits<std::int64_t>::max();
    if (file.size_bytes > kBytesMax - bytes)
      return bad("The files of a checkpoint have more bytes than a disk.", "files.size_bytes");
    bytes += file.size_bytes;
    if (!names.insert(file.name).second)
      return bad("A checkpoint has two files of the name " + file.name + ".", "files.name");
  }
  if (name_bytes > kCheckpointNamesBytesMax)
    return bad("The names of a checkpoint's files have more than 1 MiB together.", "files.name");
  for (const std::string_view name : names) {
    for (std::size_t at = name.find('/'); at != std::string_view::npos; at = name.find('/', at + 1))
      if (names.contains(name.substr(0, at)))
        return bad(
            "A checkpoint has a file " + std::string(name.substr(0, at)) + " and one below it.",
            "files.name");
  }
  return Status::success();
}

}  // namespace

std::uint64_t CheckpointManifest::total_bytes() const {
  std::uint64_t bytes = 0;
  for (const CheckpointFile& file : files) bytes += file.size_bytes;
  return bytes;
}

const CheckpointFile* CheckpointManifest::find(std::string_view name) const {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const CheckpointFile& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

Status check_checkpoint_path(std::string_view path) {
  const std::string field = "files.name";
  if (path.empty()) return bad("A checkpoint's file has no name.", field);
  if (path.size() > kCheckpointPathMax)
    return bad("The name of a checkpoint's file has " + std::to_string(path.size()) +
                   " bytes; the most is " + std::to_string(kCheckpointPathMax) + ".",
               field);
  if (!plain_text(path))
    return bad(
        "The name of a checkpoint's file has control characters or backslashes, or is no "
        "UTF-8.",
        field);
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..")
      return bad(
          "The name " + std::string(path) + " of a checkpoint's file does not stay in its folder.",
          field);
    if (part.size() > kCheckpointPathPartMax)
      return bad("A part of the name of a checkpoint's file has more than " +
                     std::to_string(kCheckpointPathPartMax) + " bytes.",
                 field);
    if (slash == std::string_view::npos) return Status::success();
    rest.remove_prefix(slash + 1);
  }
}

Status check_checkpoint(const CheckpointManifest& manifest) {
  if (!manifest.job.valid()) return bad("A checkpoint belongs to a job.", "job");
  if (manifest.attempt == 0) return bad("A checkpoint belongs to an attempt.", "attempt");
  if (manifest.world_size == 0 || manifest.world_size > kCheckpointWorldMax)
    return bad("A checkpoint is written by 1 to " + std::to_string(kCheckpointWorldMax) + " ranks.",
               "world_size");
  if (manifest.loss && !std::isfinite(*manifest.loss))
    return bad("The loss of a checkpoint is a finite number.", "loss");
  return check_files(manifest.files);
}

std::string_view checkpoint_file_kind_name(CheckpointFileKind kind) {
  for (const auto& [value, name] : kKindNames) {
    if (value == kind) return name;
  }
  return "unknown";
}

Result<CheckpointFileKind> parse_checkpoint_file_kind(std::string_view text) {
  for (const auto& [value, name] : kKindNames) {
    if (name == text) return value;
  }
  return fail(Code::kInvalidArgument,
              "A checkpoint's file is weights, optimizer, state or user-file.", "files.kind");
}

}  // namespace overwinter
