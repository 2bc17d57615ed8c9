// Between those who hand in lines and the thread that writes them: bounded, and nobody waits to
// hand something in. When it is full, the job with the most in it loses its oldest, so that a job
// that prints a gigabyte costs no other one a line. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <vector>

#include "common/base/mutex.h"
#include "coordinator/telemetry/log_types.h"

namespace overwinter::telemetry {

// What one job has for the writer.
struct JobBatch {
  JobKey job = {};
  std::vector<LogEntry> entries = {};  // what was lost in the queue is among them, as gaps
  std::vector<CurvePoint> points = {};
};

class LogQueue {
 public:
  explicit LogQueue(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Never waits. After close() it does nothing.
  void push(JobBatch batch);
  // Waits for something, at most about a mebibyte of one job, each job in its turn. False: closed,
  // and nothing is left.
  bool pop(JobBatch& out);
  void close();

  [[nodiscard]] std::size_t bytes() const;
  // Lines and points that were lost here, ever.
  [[nodiscard]] std::uint64_t lost() const;

 private:
  struct Lost {
    std::uint64_t lines = 0;
    std::uint64_t bytes = 0;
    Time time;
  };
  using Lane = std::pair<AttemptNumber, std::uint32_t>;
  struct JobQueue {
    std::deque<LogEntry> head;  // the first words since the queue was empty: dropped last
    std::deque<LogEntry> entries;
    std::deque<CurvePoint> points;
    std::map<Lane, Lost> lost;  // between `head` and `entries`
    std::size_t bytes = 0;
  };
  using Jobs = std::map<JobKey, JobQueue>;

  void drop_oldest() OW_REQUIRES(mutex_);
  void drop_from(JobQueue& queue, std::deque<LogEntry>& entries, std::size_t until)
      OW_REQUIRES(mutex_);
  void take(Jobs::iterator at, JobBatch& out) OW_REQUIRES(mutex_);

  const std::size_t bytes_max_;
  mutable Mutex mutex_;
  Condition changed_;
  Jobs jobs_ OW_GUARDED_BY(mutex_);
  JobKey last_ OW_GUARDED_BY(mutex_);  // whose turn it was
  std::size_t bytes_ OW_GUARDED_BY(mutex_) = 0;
  std::uint64_t lost_ OW_GUARDED_BY(mutex_) = 0;
  bool closed_ OW_GUARDED_BY(mutex_) = false;
};

}  // namespace overwinter::telemetry
