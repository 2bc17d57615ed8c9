// Logs and curves of jobs, behind one thread of their own: who hands something in never waits, and
// what there is no room for is dropped and counted, oldest first, of the job that sends the most.
// Thread-safe.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/telemetry/curve_store.h"
#include "coordinator/telemetry/log_queue.h"
#include "coordinator/telemetry/log_store.h"

namespace overwinter::telemetry {

struct TelemetryConfig {
  LogBounds logs;
  std::size_t queue_bytes = std::size_t{16} << 20;
};

class Telemetry {
 public:
  // `root` is made when it is not there. FAILED_PRECONDITION: it is of another format.
  [[nodiscard]] static Result<std::unique_ptr<Telemetry>> open(const std::filesystem::path& root,
                                                               const TelemetryConfig& config = {});
  // Writes what has been handed in, then ends the thread.
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  // Never waits.
  void push(JobBatch batch) { queue_.push(std::move(batch)); }

  // What has been written; may wait for the disk.
  [[nodiscard]] Result<LogPage> read_logs(const JobKey& key, const LogQuery& query);
  [[nodiscard]] Result<std::vector<CurveSummary>> list_curves(const JobKey& key);
  [[nodiscard]] Result<std::vector<CurveValue>> read_curve(const JobKey& key,
                                                           const std::string& name,
                                                           std::uint64_t from_step,
                                                           std::size_t points_max,
                                                           Smoothing smoothing = Smoothing::kNone);
  // What restarts took back of a curve: Curve::lost.
  [[nodiscard]] std::vector<CurveValue> lost_values(const JobKey& key, const std::string& name);

  // Called on the writing thread after each write of that job's lines or points; must not wait, and
  // must not call watch() or let go of a watch. Ends when the returned value goes.
  using Watch = std::shared_ptr<void>;
  [[nodiscard]] Watch watch(const JobKey& key, std::function<void()> changed);

  // Retention: forgets all jobs whose last line came before `before`, or one job.
  void expire(Time before);
  void remove(const JobKey& key);

  // Lines and points that were dropped before they were written.
  [[nodiscard]] std::uint64_t lost() const { return queue_.lost(); }
  [[nodiscard]] std::uint64_t log_bytes() const { return logs_->total_bytes(); }

 private:
  // Outlives the object as long as a watch does.
  struct Watches {
    Mutex mutex;
    std::uint64_t next OW_GUARDED_BY(mutex) = 1;
    std::map<JobKey, std::map<std::uint64_t, std::function<void()>>> of_job OW_GUARDED_BY(mutex);
  };

  Telemetry(std::unique_ptr<LogStore> logs, const TelemetryConfig& config);
  void run();

  const std::unique_ptr<LogStore> logs_;
  CurveStore curves_;
  LogQueue queue_;
  const std::shared_ptr<Watches> watches_ = std::make_shared<Watches>();
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace overwinter::telemetry
