// A worker joins with a join file: once, whatever it repeats.
#include <fmt/format.h>

#include <algorithm>

#include "coordinator/core/engine.h"

namespace overwinter::core {

Status Engine::check_join(const JoinFile* file, const WorkerJoinRequested& event) const {
  if (file == nullptr) return error(Code::kPermissionDenied, "this join file is not known here");
  const std::string id = std::to_string(file->id.value());
  const std::string hint = "overwinter tokens create --role worker -o join.file";
  if (file->revoked_at) {
    return error(Code::kPermissionDenied, "join file " + id + " was revoked", {}, hint);
  }
  if (now_ >= file->expires) {
    return error(Code::kPermissionDenied,
                 "join file " + id + " ended at " + format_time(file->expires), {}, hint);
  }
  if (file->used >= file->uses) {
    return error(Code::kPermissionDenied,
                 "join file " + id + " was good for " + std::to_string(file->uses) +
                     " workers, and as many have joined",
                 {}, hint);
  }
  if (event.price_per_hour && !file->may_set_price) {
    return error(Code::kPermissionDenied, "join file " + id + " does not allow --price", "price");
  }
  if (file->projects.empty()) return {};
  for (const std::string& project : event.projects) {
    if (std::find(file->projects.begin(), file->projects.end(), project) == file->projects.end()) {
      return error(Code::kPermissionDenied,
                   fmt::format("join file {} is not for project \"{}\"", id, project), "projects");
    }
  }
  return {};
}

void Engine::on(const WorkerJoinRequested& event) {
  Reply answer;
  answer.reply = event.reply;
  const auto known = state_.workers_by_key.find(event.public_key);
  if (known != state_.workers_by_key.end() &&
      worker(known->second).state != WorkerState::kRemoved &&
      worker(known->second).join_file.value() == event.by.id) {
    answer.worker = known->second;
    answer.repeated = true;
    effect(std::move(answer));
    return;
  }
  const auto file = state_.join_files.find(JoinFileId(event.by.id));
  answer.status = check_join(file == state_.join_files.end() ? nullptr : &file->second, event);
  if (known != state_.workers_by_key.end() && answer.status.ok()) {
    answer.status = error(Code::kAlreadyExists, "another worker has joined with this key",
                          "public_key", "start it with a new, empty --data-dir");
  }
  if (answer.status.ok()) {
    std::string name = event.name;
    for (int n = 2; state_.workers_by_name.contains(name); ++n) {
      name = event.name + "-" + std::to_string(n);
    }
    const WorkerId id(fresh_id(state_.next_worker));
    emit(WorkerRegistered{id, file->first, name, event.labels,
                          event.projects.empty() ? file->second.projects : event.projects,
                          event.spot, event.price_per_hour, event.public_key});
    answer.worker = id;
    soft_.workers[id];
    touch(id);
  }
  effect(std::move(answer));
}

}  // namespace overwinter::core
