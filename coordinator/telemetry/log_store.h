// The lines of jobs on disk, in segments (the format is in this room's README). One thread appends;
// any thread reads. What is appended is on the way to the disk and needs no fsync: a crash of the
// machine may cost the last lines, never a reader.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/telemetry/log_redactor.h"
#include "coordinator/telemetry/log_types.h"

namespace overwinter::telemetry {

// Lower case letters, digits and dashes: what may be a folder's name.
[[nodiscard]] bool is_project_folder(std::string_view name);

struct LogBounds {
  std::uint64_t job_bytes = std::uint64_t{16} << 20;
  std::uint64_t total_bytes = std::uint64_t{1} << 30;
};

class LogStore {
 public:
  // The folder is made, with mode 0700, when it is not there. FAILED_PRECONDITION: it is of another
  // format. Names in it that are not ours are left alone.
  [[nodiscard]] static Result<std::unique_ptr<LogStore>> open(const std::filesystem::path& root,
                                                              LogBounds bounds);

  // Cleans the lines of secrets and keeps them in this order. Of a job above its bound the rank and
  // attempt with the most loses its oldest segment but the first; above the total bound the project
  // with the most loses the job that has been silent for longest. What cannot be written (a full
  // disk) is lost and counted as a gap. One thread at a time.
  // Returns the jobs that were forgotten to make room.
  std::vector<JobKey> append(const JobKey& key, std::vector<LogEntry> entries);
  // The job has something in its folder that is no line, as of that time.
  void touch(const JobKey& key, Time time);

  // Items in the order of their numbers. A gap stands before the lines that follow it and says how
  // much is not there. An unknown job has none. INVALID_ARGUMENT for a name that is no project's.
  [[nodiscard]] Result<LogPage> read(const JobKey& key, const LogQuery& query);

  // Forgets one job, its whole folder.
  void remove(const JobKey& key);
  // Jobs whose last line came before that.
  [[nodiscard]] std::vector<JobKey> silent_since(Time before) const;

  [[nodiscard]] std::uint64_t total_bytes() const;
  // Where the job's files are.
  [[nodiscard]] std::filesystem::path folder(const JobKey& key) const;

 private:
  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    std::uint64_t lines_before = 0;
    std::uint64_t text_before = 0;
    std::uint64_t lines = 0;
    std::uint64_t text = 0;
    std::uint64_t last_sequence = 0;
  };
  using Lane = std::pair<AttemptNumber, std::uint32_t>;  // attempt, rank
  struct LaneState {
    std::deque<Segment> segments;
    bool may_append = false;  // the last segment was begun by this process
    LogRedactor redactor;
    // Lost since the last line that was kept: goes before the next one.
    std::uint64_t lines_lost = 0;
    std::uint64_t bytes_lost = 0;
  };
  struct JobState {
    bool loaded = false;
    std::map<Lane, LaneState> lanes;
    std::uint64_t bytes = 0;
    std::uint64_t next_sequence = 1;
    Time last_append;
  };
  // Bytes on their way into one segment.
  struct Chunk {
    Lane lane;
    Segment segment;  // as it will be
    bool is_new = false;
    std::string data;
  };

  LogStore(std::filesystem::path root, LogBounds bounds)
      : root_(std::move(root)), bounds_(bounds) {}

  // ---- log_store_loading.cpp
  void scan();
  void load(const JobKey& key) OW_REQUIRES(writing_);
  void load_if_needed(const JobKey& key);
  [[nodiscard]] static JobState load_folder(const std::filesystem::path& folder, const JobKey& key);

  // ---- log_store.cpp
  [[nodiscard]] std::filesystem::path file(const JobKey& key, Lane lane,
                                           std::uint64_t number) const;
  [[nodiscard]] std::vector<Chunk> plan(const JobKey& key, std::vector<LogEntry>& entries,
                                        JobState& job) const;
  void publish(const JobKey& key, JobState& job, const Chunk& chunk, bool written)
      OW_REQUIRES(mutex_);
  std::vector<std::filesystem::path> trim(const JobKey& key, JobState& job) OW_REQUIRES(mutex_);
  std::vector<JobKey> over_total(const JobKey& current) OW_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t segment_bytes() const;

  const std::filesystem::path root_;
  const LogBounds bounds_;
  Mutex writing_;  // held while files are written or removed; before mutex_
  mutable Mutex mutex_;
  std::map<JobKey, JobState> jobs_ OW_GUARDED_BY(mutex_);
  std::uint64_t total_ OW_GUARDED_BY(mutex_) = 0;
};

}  // namespace overwinter::telemetry
