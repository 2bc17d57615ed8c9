#include "worker/exec/checkpoint_watch.h"

#include <algorithm>
#include <string_view>

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;

std::string first_part(std::string_view path) {
  return std::string(path.substr(0, path.find('/')));
}

bool passing(std::string_view path) {
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.starts_with('.') || part.ends_with(".tmp") || part.ends_with(".part") ||
        part.ends_with('~'))
      return true;
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
}

std::vector<InsideFile> sorted_files(const std::vector<const CheckpointFile*>& files) {
  std::vector<InsideFile> out;
  for (const CheckpointFile* file : files) out.push_back(file->file);
  std::sort(out.begin(), out.end(),
            [](const InsideFile& a, const InsideFile& b) { return a.path < b.path; });
  return out;
}

}  // namespace

std::uint64_t CheckpointSet::bytes() const {
  std::uint64_t total = 0;
  for (const InsideFile& file : files) total += file.size_bytes;
  return total;
}

CheckpointWatch::CheckpointWatch(const CheckpointSnapshot& at_start) {
  // As if it had been there for long: then what would be collected of it is known.
  note(milliseconds(0), at_start);
  if (auto set = step(kCheckpointQuiet, at_start)) last_ = std::move(set->files);
  for (auto& [path, seen] : seen_) seen.changed_at = milliseconds::min() / 2;
}

void CheckpointWatch::note(milliseconds now, const CheckpointSnapshot& snapshot) {
  std::map<std::string, Seen> next;
  for (const CheckpointFile& file : snapshot.files) {
    const bool renamed = snapshot.renamed.contains(first_part(file.file.path));
    const auto before = seen_.find(file.file.path);
    if (before != seen_.end() && before->second.file == file.file) {
      next[file.file.path] = before->second;
      next[file.file.path].renamed |= renamed;
    } else {
      next[file.file.path] = {file.file, now, renamed};
    }
  }
  seen_ = std::move(next);
}

bool CheckpointWatch::file_whole(milliseconds now, const CheckpointFile& file) const {
  const auto seen = seen_.find(file.file.path);
  if (seen == seen_.end()) return false;
  if (file.open_for_writing) return false;
  if (seen->second.renamed) return true;
  return file.complete && now - seen->second.changed_at >= kCheckpointQuiet;
}

std::map<std::string, CheckpointWatch::Group> CheckpointWatch::groups(
    milliseconds now, const CheckpointSnapshot& snapshot) const {
  std::map<std::string, Group> groups;  // "": files beside the folders
  std::map<std::string, std::int64_t> done;
  for (const CheckpointFile& file : snapshot.files) {
    const std::string& path = file.file.path;
    if (passing(path)) continue;
    const std::string name = path.find('/') == std::string::npos ? "" : first_part(path);
    Group& group = groups[name];
    if (group.files.empty()) group.whole = true;
    group.files.push_back(&file);
    group.whole = group.whole && file_whole(now, file);
    group.newest_ns = std::max(group.newest_ns, file.file.modified_ns);
    const std::string said = name.empty() ? "DONE" : name + "/DONE";
    if (path == said) done[name] = file.file.modified_ns;
  }
  for (const auto& [name, at] : done)
    if (at >= groups[name].newest_ns) groups[name].whole = true;
  return groups;
}

std::optional<CheckpointSet> CheckpointWatch::step(milliseconds now,
                                                   const CheckpointSnapshot& snapshot) {
  note(now, snapshot);
  const std::map<std::string, Group> all = groups(now, snapshot);
  if (all.empty()) return std::nullopt;
  std::vector<const CheckpointFile*> files;
  if (all.contains("")) {
    for (const auto& [name, group] : all) {
      if (!group.whole) return std::nullopt;
      files.insert(files.end(), group.files.begin(), group.files.end());
    }
  } else {
    const Group* newest = nullptr;
    for (const auto& [name, group] : all)
      if (group.whole && (newest == nullptr || group.newest_ns >= newest->newest_ns))
        newest = &group;
    if (newest == nullptr) return std::nullopt;
    files = newest->files;
  }
  CheckpointSet set{sorted_files(files)};
  if (set.files == last_) return std::nullopt;
  last_ = set.files;
  return set;
}

bool CheckpointWatch::unchanged(const CheckpointSet& set, const CheckpointSnapshot& now) {
  for (const InsideFile& file : set.files) {
    const auto found =
        std::find_if(now.files.begin(), now.files.end(),
                     [&](const CheckpointFile& f) { return f.file.path == file.path; });
    if (found == now.files.end() || !(found->file == file)) return false;
  }
  return true;
}

}  // namespace overwinter::worker::exec
