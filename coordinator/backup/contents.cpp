#include "coordinator/backup/contents.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/formats/digest.h"
#include "coordinator/backup/layout.h"
#include "coordinator/runtime/job_inputs.h"

namespace overwinter::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCheckpoints = "checkpoints";

// Lists folders that may be removed meanwhile: what is gone lies among what the hold keeps.
Result<std::vector<std::string>> list_or_gone(const artifacts::HeldFiles& files,
                                              const std::string& folder) {
  auto names = files.list(folder);
  if (!names && names.error().code == Code::kNotFound) return std::vector<std::string>{};
  return names;
}

bool is_file(const std::string& path) {
  std::error_code failed;
  return fs::is_regular_file(path, failed);
}

// Everything below `folder` that is a file, down to `depth` folders.
Status collect(const artifacts::HeldFiles& files, const std::string& folder, int depth,
               std::set<std::string>& out) {
  const auto names = list_or_gone(files, folder);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    const std::string path = folder + "/" + name;
    if (is_file(path)) {
      out.insert(path);
    } else if (depth > 0) {
      if (Status status = collect(files, path, depth - 1, out); !status.ok()) return status;
    }
  }
  return Status::success();
}

// "KIND/JOB/…" → JOB; 0: it is none.
std::uint64_t job_of(std::string_view relative) {
  const std::size_t slash = relative.find('/');
  if (slash == std::string_view::npos) return 0;
  relative.remove_prefix(slash + 1);
  const std::string_view text = relative.substr(0, relative.find('/'));
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? number : 0;
}

Result<std::uint64_t> size_of(const artifacts::HeldFiles::Hold& hold, const std::string& path) {
  const auto file = hold.read(path);
  if (!file) return fail(file.error());
  return (*file)->size_bytes();
}

Status add_blobs(const artifacts::HeldFiles::Hold& hold, const std::string& root,
                 const core::ClusterState& state, std::vector<Content>& out) {
  for (const runtime::NeededBlob& need : runtime::needed_blobs(state)) {
    const Digest project = formats::sha256(std::as_bytes(std::span(need.key.project)));
    const std::string place = "blobs/" + to_hex(project) + "/" + to_hex(need.key.digest);
    const auto size = size_of(hold, root + "/" + place);
    if (!size && size.error().code == Code::kNotFound) {
      return error(Code::kFailedPrecondition,
                   "the file artifact://" + to_hex(need.key.digest) + " that " + need.job +
                       " needs is not there: a backup would be of no use for that job",
                   {}, "upload it again (submit a job that reads it), or cancel that job");
    }
    if (!size) return size.error();
    Content content;
    content.name = std::string(kArtifactFolder) + "/" + place;
    content.kind = Content::Kind::kHeld;
    content.path = root + "/" + place;
    content.size_bytes = *size;
    content.blob = need.key.digest;
    content.needed_by = need.job;
    out.push_back(std::move(content));
  }
  return Status::success();
}

}  // namespace

Result<std::vector<Content>> list_artifacts(const artifacts::HeldFiles& files,
                                            const artifacts::HeldFiles::Hold& hold,
                                            const fs::path& root_path,
                                            const core::ClusterState& state) {
  const std::string root = root_path.string();
  std::vector<Content> out;
  Content format;
  format.name = std::string(kArtifactFolder) + "/FORMAT";
  format.kind = Content::Kind::kHeld;
  format.path = root + "/FORMAT";
  out.push_back(std::move(format));
  if (Status status = add_blobs(hold, root, state, out); !status.ok())
    return fail(std::move(status));
  std::set<std::string> found;
  for (const auto& [kind, depth] : {std::pair{"results", 1}, {"checkpoints", 2}, {"archives", 1}}) {
    if (Status status = collect(files, root + "/" + kind, depth, found); !status.ok())
      return fail(std::move(status));
  }
  for (const std::string& path : hold.removed()) {
    if (!path.starts_with(root + "/blobs/")) found.insert(path);
  }
  for (const std::string& path : found) {
    if (!path.starts_with(root + "/") || path.ends_with(".part")) continue;
    const std::string relative = path.substr(root.size() + 1);
    // Jobs of a later turn are nobody's in the backup, and their files would be removed at a start.
    const std::uint64_t job = job_of(relative);
    if (job == 0 || job >= state.next_job) continue;
    // A checkpoint without its manifest is on its way.
    const std::string folder = path.substr(0, path.rfind('/'));
    if (relative.starts_with(kCheckpoints) && !found.contains(folder + "/manifest")) continue;
    const auto size = size_of(hold, path);
    if (!size) return fail(size.error());
    Content content;
    content.name = std::string(kArtifactFolder) + "/" + relative;
    content.kind = Content::Kind::kHeld;
    content.path = path;
    content.size_bytes = *size;
    out.push_back(std::move(content));
  }
  return out;
}

Result<std::vector<Content>> list_telemetry(const fs::path& root) {
  std::vector<Content> out;
  std::error_code failed;
  if (!fs::exists(root, failed)) return out;
  for (fs::recursive_directory_iterator it(root, failed), end; !failed && it != end;
       it.increment(failed)) {
    std::error_code gone;
    if (!it->is_regular_file(gone) || gone) continue;
    Content content;
    content.name =
        std::string(kTelemetryFolder) + "/" + it->path().lexically_relative(root).generic_string();
    content.kind = Content::Kind::kLoose;
    content.path = it->path().string();
    content.size_bytes = it->file_size(gone);
    if (!gone) out.push_back(std::move(content));
  }
  // A folder that went while it was read: its job was forgotten.
  std::sort(out.begin(), out.end(),
            [](const Content& a, const Content& b) { return a.name < b.name; });
  return out;
}

}  // namespace overwinter::backup
