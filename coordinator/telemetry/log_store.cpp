#include "coordinator/telemetry/log_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/log.h"
#include "coordinator/telemetry/log_cursor.h"
#include "coordinator/telemetry/log_segment.h"

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLanesMax = 1024;

// The bytes at the end of the file, or an error that the disk gave.
bool write_chunk(const fs::path& path, std::uint64_t at, bool is_new, std::string_view data) {
  if (is_new) ::mkdir(path.parent_path().parent_path().c_str(), 0700);
  if (is_new) ::mkdir(path.parent_path().c_str(), 0700);
  const int flags = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (is_new ? O_CREAT | O_TRUNC : 0);
  const int fd = ::open(path.c_str(), flags, 0600);
  if (fd < 0) return false;
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t n =
        ::pwrite(fd, data.data() + done, data.size() - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::close(fd);
  return done == data.size();
}

}  // namespace

bool is_project_folder(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

fs::path LogStore::folder(const JobKey& key) const {
  return root_ / key.project / ("job-" + std::to_string(key.job.value()));
}

fs::path LogStore::file(const JobKey& key, Lane lane, std::uint64_t number) const {
  return folder(key) / (std::to_string(lane.first) + "-" + std::to_string(lane.second) + "-" +
                        std::to_string(number) + ".log");
}

std::uint64_t LogStore::segment_bytes() const {
  return std::clamp<std::uint64_t>(bounds_.job_bytes / 64, 32 * 1024, 1024 * 1024);
}

std::vector<LogStore::Chunk> LogStore::plan(const JobKey& key, std::vector<LogEntry>& entries,
                                            JobState& job) const {
  std::vector<Chunk> chunks;
  std::map<Lane, std::size_t> open;  // index into chunks
  for (LogEntry& entry : entries) {
    const Lane lane{entry.attempt, entry.rank};
    LaneState& state = job.lanes[lane];
    if (!entry.is_gap()) state.redactor.clean(entry.text);
    const std::uint64_t bytes = record_bytes(entry);
    auto at = open.find(lane);
    const Segment* last = at != open.end()         ? &chunks[at->second].segment
                          : state.segments.empty() ? nullptr
                                                   : &state.segments.back();
    const bool goes_on = last != nullptr && (at != open.end() || state.may_append) &&
                         last->bytes + bytes <= segment_bytes();
    if (!goes_on) {
      Chunk chunk{.lane = lane, .segment = {}, .is_new = true, .data = {}};
      chunk.segment.number = last == nullptr ? 1 : last->number + 1;
      chunk.segment.lines_before = last == nullptr ? 0 : last->lines_before + last->lines;
      chunk.segment.text_before = last == nullptr ? 0 : last->text_before + last->text;
      // A chunk of this same round counts what was lost before it already.
      if (at == open.end()) {
        chunk.segment.lines_before += state.lines_lost;
        chunk.segment.text_before += state.bytes_lost;
      }
      append_header(chunk.data, {.job = key.job.value(),
                                 .attempt = lane.first,
                                 .rank = lane.second,
                                 .number = chunk.segment.number,
                                 .lines_before = chunk.segment.lines_before,
                                 .bytes_before = chunk.segment.text_before});
      chunk.segment.bytes = chunk.data.size();
      open[lane] = chunks.size();
      chunks.push_back(std::move(chunk));
    } else if (at == open.end()) {
      open[lane] = chunks.size();
      chunks.push_back({.lane = lane, .segment = *last, .is_new = false, .data = {}});
    }
    Chunk& chunk = chunks[open[lane]];
    append_record(chunk.data, job.next_sequence, entry);
    chunk.segment.bytes += bytes;
    chunk.segment.lines += entry.is_gap() ? entry.lines_lost : 1;
    chunk.segment.text +=
        entry.is_gap() ? entry.bytes_lost : std::min(entry.text.size(), kLineBytesMax);
    chunk.segment.last_sequence = job.next_sequence++;
  }
  return chunks;
}

void LogStore::publish(const JobKey& key, JobState& job, const Chunk& chunk, bool written) {
  LaneState& lane = job.lanes[chunk.lane];
  Segment* last = !chunk.is_new && !lane.segments.empty() ? &lane.segments.back() : nullptr;
  if (!written) {
    // What follows says that these are not there; the segment is given up, its end may be torn.
    lane.lines_lost += chunk.segment.lines - (last == nullptr ? 0 : last->lines);
    lane.bytes_lost += chunk.segment.text - (last == nullptr ? 0 : last->text);
    lane.may_append = false;
    if (chunk.is_new) ::unlink(file(key, chunk.lane, chunk.segment.number).c_str());
    return;
  }
  const std::uint64_t before = last == nullptr ? 0 : last->bytes;
  if (last != nullptr)
    *last = chunk.segment;
  else
    lane.segments.push_back(chunk.segment);
  // A segment's beginning counts all that was lost before it.
  if (chunk.is_new) lane.lines_lost = lane.bytes_lost = 0;
  lane.may_append = true;
  job.bytes += chunk.segment.bytes - before;
  total_ += chunk.segment.bytes - before;
}

std::vector<fs::path> LogStore::trim(const JobKey& key, JobState& job) {
  std::vector<fs::path> removed;
  const auto drop = [&](std::map<Lane, LaneState>::iterator lane, std::size_t index) {
    auto& segments = lane->second.segments;
    const auto at = segments.begin() + static_cast<std::ptrdiff_t>(index);
    removed.push_back(file(key, lane->first, at->number));
    job.bytes -= at->bytes;
    total_ -= at->bytes;
    segments.erase(at);
    if (segments.empty()) job.lanes.erase(lane);
  };
  while (job.bytes > bounds_.job_bytes || job.lanes.size() > kLanesMax) {
    auto largest = job.lanes.end();
    std::uint64_t most = 0;
    auto oldest = job.lanes.end();
    for (auto lane = job.lanes.begin(); lane != job.lanes.end(); ++lane) {
      if (lane->second.segments.empty()) continue;
      std::uint64_t bytes = 0;
      for (const Segment& segment : lane->second.segments) bytes += segment.bytes;
      if (lane->second.segments.size() > 2 && bytes > most) {
        most = bytes;
        largest = lane;
      }
      if (oldest == job.lanes.end() ||
          lane->second.segments.back().last_sequence < oldest->second.segments.back().last_sequence)
        oldest = lane;
    }
    const bool too_many = job.lanes.size() > kLanesMax;
    if (largest != job.lanes.end() && !too_many) {
      drop(largest, 1);  // the first and the last stay
    } else if (oldest != job.lanes.end()) {
      drop(oldest, 0);
    } else {
      break;
    }
  }
  return removed;
}

std::vector<JobKey> LogStore::over_total(const JobKey& current) {
  std::vector<JobKey> gone;
  while (total_ > bounds_.total_bytes) {
    std::map<std::string, std::uint64_t> of_project;
    for (const auto& [key, job] : jobs_)
      if (key != current && job.bytes > 0) of_project[key.project] += job.bytes;
    const auto most =
        std::max_element(of_project.begin(), of_project.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == of_project.end()) return gone;
    auto silent = jobs_.end();
    for (auto at = jobs_.begin(); at != jobs_.end(); ++at)
      if (at->first.project == most->first && at->first != current && at->second.bytes > 0 &&
          (silent == jobs_.end() || at->second.last_append < silent->second.last_append))
        silent = at;
    total_ -= silent->second.bytes;
    gone.push_back(silent->first);
    jobs_.erase(silent);
  }
  return gone;
}

void LogStore::touch(const JobKey& key, Time time) {
  if (!is_project_folder(key.project)) return;
  load_if_needed(key);
  MutexLock lock(mutex_);
  JobState& job = jobs_[key];
  job.loaded = true;
  job.last_append = std::max(job.last_append, time);
}

std::vector<JobKey> LogStore::append(const JobKey& key, std::vector<LogEntry> entries) {
  if (!is_project_folder(key.project) || entries.empty()) return {};
  MutexLock writing(writing_);
  load(key);
  std::vector<Chunk> chunks;
  {
    MutexLock lock(mutex_);
    JobState& job = jobs_[key];
    job.loaded = true;
    for (const LogEntry& entry : entries) job.last_append = std::max(job.last_append, entry.time);
    chunks = plan(key, entries, job);
  }
  std::vector<bool> written;
  for (const Chunk& chunk : chunks) {
    written.push_back(write_chunk(file(key, chunk.lane, chunk.segment.number),
                                  chunk.segment.bytes - chunk.data.size(), chunk.is_new,
                                  chunk.data));
    if (!written.back())
      log_warning("logs of job {} cannot be written: {}", key.job.value(), std::strerror(errno));
  }
  std::vector<fs::path> removed;
  std::vector<JobKey> gone;
  {
    MutexLock lock(mutex_);
    JobState& job = jobs_[key];
    for (std::size_t i = 0; i < chunks.size(); ++i) publish(key, job, chunks[i], written[i]);
    removed = trim(key, job);
    gone = over_total(key);
  }
  std::error_code ignored;
  for (const fs::path& path : removed) fs::remove(path, ignored);
  for (const JobKey& other : gone) fs::remove_all(folder(other), ignored);
  return gone;
}

void LogStore::remove(const JobKey& key) {
  if (!is_project_folder(key.project)) return;
  MutexLock writing(writing_);
  {
    MutexLock lock(mutex_);
    const auto at = jobs_.find(key);
    if (at == jobs_.end()) return;
    total_ -= at->second.bytes;
    jobs_.erase(at);
  }
  std::error_code ignored;
  fs::remove_all(folder(key), ignored);
}

std::vector<JobKey> LogStore::silent_since(Time before) const {
  std::vector<JobKey> out;
  MutexLock lock(mutex_);
  for (const auto& [key, job] : jobs_)
    if (job.last_append < before) out.push_back(key);
  return out;
}

std::uint64_t LogStore::total_bytes() const {
  MutexLock lock(mutex_);
  return total_;
}

Result<LogPage> LogStore::read(const JobKey& key, const LogQuery& query) {
  if (!is_project_folder(key.project))
    return fail(Code::kInvalidArgument, "that is no project's name", "project");
  LogPage page;
  page.next = query.after;
  std::vector<std::vector<SegmentFile>> lanes;
  std::uint64_t last = query.after;
  load_if_needed(key);
  {
    MutexLock lock(mutex_);
    const auto at = jobs_.find(key);
    if (at == jobs_.end()) return page;
    for (const auto& [lane, state] : at->second.lanes) {
      std::vector<SegmentFile> files;
      for (const Segment& segment : state.segments) {
        files.push_back({file(key, lane, segment.number), segment.bytes, segment.last_sequence});
        last = std::max(last, segment.last_sequence);
      }
      const bool wanted = (!query.rank || *query.rank == lane.second) &&
                          (!query.attempt || *query.attempt == lane.first);
      if (wanted) lanes.emplace_back(std::move(files));
    }
  }
  read_lanes(lanes, query, last, page);
  return page;
}

}  // namespace overwinter::telemetry
