#include "worker/programs/checkpoint_collector.h"

#include <algorithm>
#include <utility>

#include "worker/programs/inside_copy.h"

namespace overwinter::worker {

namespace fs = std::filesystem;

CheckpointCollector::CheckpointCollector(Setting setting, CheckpointSending& sending)
    : setting_(std::move(setting)),
      sending_(sending),
      folder_(setting_.work, setting_.checkpoint_dir),
      last_step_(setting_.restored.value_or(0)) {
  const auto at_start = folder_.take({});
  watch_.emplace(at_start ? *at_start : exec::CheckpointSnapshot{});
}

Status CheckpointCollector::look(std::chrono::milliseconds now, const std::vector<pid_t>& pids,
                                 std::optional<std::uint64_t> step) {
  auto snapshot = folder_.take(pids);
  if (!snapshot) return snapshot.error();
  snapshot->renamed.merge(renamed_);
  renamed_.clear();
  if (auto set = watch_->step(now, *snapshot)) waiting_ = std::move(set);
  if (!waiting_ || busy_) return Status::success();
  const exec::CheckpointSet set = *std::exchange(waiting_, std::nullopt);
  if (!exec::CheckpointWatch::unchanged(set, *snapshot)) return Status::success();
  return send(set, step);
}

Status CheckpointCollector::look_last(std::chrono::milliseconds now,
                                      std::optional<std::uint64_t> step) {
  if (Status first = look(now, {}, step); !first.ok()) return first;
  return look(now + 2 * exec::kCheckpointQuiet, {}, step);
}

Result<std::vector<CheckpointFile>> CheckpointCollector::copy(const exec::CheckpointSet& set,
                                                              const fs::path& to) const {
  std::vector<CheckpointFile> files;
  for (const exec::InsideFile& file : set.files) {
    if (Status good = check_checkpoint_path(file.path); !good.ok()) return fail(good);
    exec::InsideFile whole = file;
    whole.path = setting_.checkpoint_dir + "/" + file.path;
    const auto digest = copy_inside(setting_.work, whole, to / file.path);
    if (!digest) return fail(digest.error());
    files.push_back({file.path, file.size_bytes, *digest, CheckpointFileKind::kUserFile});
  }
  return files;
}

Status CheckpointCollector::send(const exec::CheckpointSet& set,
                                 std::optional<std::uint64_t> step) {
  CheckpointManifest manifest;
  manifest.job = setting_.key.job;
  manifest.attempt = setting_.key.attempt;
  manifest.world_size = setting_.world_size;
  // What it said, as long as that goes on; else a count.
  manifest.step = std::max(step.value_or(0), last_step_ + 1);
  const fs::path copies = setting_.copies / std::to_string(manifest.step);
  const auto remove = [copies] {
    std::error_code ignored;
    fs::remove_all(copies, ignored);
  };
  remove();
  auto files = copy(set, copies);
  const auto after = folder_.take({});
  if (after) renamed_.insert(after->renamed.begin(), after->renamed.end());
  if (files && (!after || !exec::CheckpointWatch::unchanged(set, *after)))
    files = fail(Code::kAborted, "the checkpoint changed while it was read");
  if (!files) {
    remove();
    return files.error();
  }
  manifest.files = std::move(*files);
  if (Status good = check_checkpoint(manifest); !good.ok()) {
    remove();
    return good;
  }
  last_step_ = manifest.step;
  busy_ = true;
  sending_.send(std::move(manifest), copies, [this, remove, number = ++taken_](const Status& kept) {
    remove();
    if (kept.ok()) stored_ = number;
    busy_ = false;
  });
  return Status::success();
}

}  // namespace overwinter::worker
