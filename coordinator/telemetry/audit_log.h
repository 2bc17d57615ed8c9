// AuditLog: what the audit keeps beside the facts. Who hands something in never waits and causes no
// commit; refusals are limited before they are queued, and one thread writes. Both kinds have files
// of their own, so that no flood of refusals takes a decision away. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/telemetry/audit_event.h"
#include "coordinator/telemetry/audit_segments.h"
#include "coordinator/telemetry/refusal_limiter.h"

namespace overwinter::telemetry {

struct AuditLogConfig {
  RefusalLimits limits;
  std::size_t segment_bytes = std::size_t{2} << 20;  // of each of four
  std::size_t queue_max = 4096;                      // events; half of it for refusals
};

class AuditLog {
 public:
  // `root` is made when it is not there. FAILED_PRECONDITION: it cannot be used, or is of another
  // format.
  [[nodiscard]] static Result<std::unique_ptr<AuditLog>> open(const std::filesystem::path& root,
                                                              const AuditLogConfig& config = {});
  // Writes what has been handed in and what was counted, then ends the thread.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Neither waits. `time` is cluster time.
  void refused(AuditEvent refusal);
  void decided(AuditEvent decision);

  // Newest first, of the refusals or of the decisions, with a key below `below`; holds what was
  // handed in before the call. At most `max`. Waits for the disk.
  [[nodiscard]] std::vector<AuditItem> read_refusals(
      std::uint64_t below, std::size_t max, const std::function<bool(const AuditItem&)>& wanted);
  [[nodiscard]] std::vector<AuditItem> read_decisions(
      std::uint64_t below, std::size_t max, const std::function<bool(const AuditItem&)>& wanted);

  // Calls that were refused since the start, whether they became lines or not.
  [[nodiscard]] std::uint64_t refusals(Door door, Code code) const {
    return counts_.at(static_cast<std::size_t>(door)).at(static_cast<std::size_t>(code));
  }
  // Lines that there was no room for, in the queue or on disk.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  static constexpr std::size_t kCodes = static_cast<std::size_t>(Code::kUnauthenticated) + 1;
  AuditLog(std::unique_ptr<AuditSegments> refusals, std::unique_ptr<AuditSegments> decisions,
           const AuditLogConfig& config);
  void run();
  bool next(std::vector<AuditEvent>& batch);
  void write(std::vector<AuditEvent> batch);
  void queue(std::vector<AuditEvent> events, std::size_t room) OW_REQUIRES(mutex_);
  void wait_until_written();

  const std::unique_ptr<AuditSegments> refusals_;
  const std::unique_ptr<AuditSegments> decisions_;
  const AuditLogConfig config_;
  std::array<std::array<std::atomic<std::uint64_t>, kCodes>, kDoors> counts_{};
  std::atomic<std::uint64_t> lost_{0};

  Mutex mutex_;
  Condition changed_;
  RefusalLimiter limiter_ OW_GUARDED_BY(mutex_);
  std::vector<AuditEvent> queue_ OW_GUARDED_BY(mutex_);
  std::uint64_t queued_ OW_GUARDED_BY(mutex_) = 0;
  std::uint64_t written_ OW_GUARDED_BY(mutex_) = 0;
  bool closed_ OW_GUARDED_BY(mutex_) = false;
  bool is_timed_ OW_GUARDED_BY(mutex_) = false;  // the thread sleeps until something may be told of
  // The cluster time of the newest refusal, and when that was by the machine's clock.
  Time newest_ OW_GUARDED_BY(mutex_){};
  std::chrono::steady_clock::time_point newest_at_ OW_GUARDED_BY(mutex_);
  std::uint64_t last_key_ = 0;  // the writing thread's

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace overwinter::telemetry
