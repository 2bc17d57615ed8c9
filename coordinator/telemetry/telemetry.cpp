#include "coordinator/telemetry/telemetry.h"

namespace overwinter::telemetry {

Result<std::unique_ptr<Telemetry>> Telemetry::open(const std::filesystem::path& root,
                                                   const TelemetryConfig& config) {
  auto logs = LogStore::open(root, config.logs);
  if (!logs) return fail(logs.error());
  return std::unique_ptr<Telemetry>(new Telemetry(std::move(*logs), config));
}

Telemetry::Telemetry(std::unique_ptr<LogStore> logs, const TelemetryConfig& config)
    : logs_(std::move(logs)), queue_(config.queue_bytes), thread_([this] { run(); }) {}

Telemetry::~Telemetry() {
  queue_.close();
  thread_.join();
}

void Telemetry::run() {
  JobBatch batch;
  while (queue_.pop(batch)) {
    if (!batch.points.empty() && is_project_folder(batch.job.project)) {
      logs_->touch(batch.job, batch.points.back().time);
      curves_.add(logs_->folder(batch.job), batch.points);
    }
    for (const JobKey& gone : logs_->append(batch.job, std::move(batch.entries)))
      curves_.forget(logs_->folder(gone));
    MutexLock lock(watches_->mutex);
    const auto at = watches_->of_job.find(batch.job);
    if (at == watches_->of_job.end()) continue;
    for (const auto& [number, changed] : at->second) changed();
  }
}

Result<LogPage> Telemetry::read_logs(const JobKey& key, const LogQuery& query) {
  return logs_->read(key, query);
}

Result<std::vector<CurveSummary>> Telemetry::list_curves(const JobKey& key) {
  if (!is_project_folder(key.project))
    return fail(Code::kInvalidArgument, "that is no project's name", "project");
  return curves_.list(logs_->folder(key));
}

Result<std::vector<CurveValue>> Telemetry::read_curve(const JobKey& key, const std::string& name,
                                                      std::uint64_t from_step,
                                                      std::size_t points_max, Smoothing smoothing) {
  if (!is_project_folder(key.project))
    return fail(Code::kInvalidArgument, "that is no project's name", "project");
  return curves_.read(logs_->folder(key), name, from_step, points_max, smoothing);
}

std::vector<CurveValue> Telemetry::lost_values(const JobKey& key, const std::string& name) {
  if (!is_project_folder(key.project)) return {};
  return curves_.lost(logs_->folder(key), name);
}

Telemetry::Watch Telemetry::watch(const JobKey& key, std::function<void()> changed) {
  MutexLock lock(watches_->mutex);
  const std::uint64_t number = watches_->next++;
  watches_->of_job[key][number] = std::move(changed);
  return {nullptr, [watches = watches_, key, number](void*) {
            MutexLock ending(watches->mutex);
            const auto at = watches->of_job.find(key);
            if (at == watches->of_job.end()) return;
            at->second.erase(number);
            if (at->second.empty()) watches->of_job.erase(at);
          }};
}

void Telemetry::expire(Time before) {
  for (const JobKey& key : logs_->silent_since(before)) remove(key);
}

void Telemetry::remove(const JobKey& key) {
  logs_->remove(key);
  curves_.forget(logs_->folder(key));
}

}  // namespace overwinter::telemetry
