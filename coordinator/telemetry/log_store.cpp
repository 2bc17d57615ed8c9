#include "coordinator/telemetry/log_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "common/base/log.h"
#include "common/security/file_io.h"
#include "coordinator/telemetry/log_cursor.h"
#include "coordinator/telemetry/log_segment.h"

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatLine = "overwinter-telemetry 1\n";
constexpr std::size_t kLanesMax = 1024;
// A crash may have cost lines whose numbers a reader has seen: the next ones are larger than those.
constexpr std::uint64_t kSequenceJump = 1 << 20;

template <class T>
bool read_number(std::string_view& text, T& out) {
  const auto [end, parsed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (parsed != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}
bool take(std::string_view& text, std::string_view wanted) {
  if (text.substr(0, wanted.size()) != wanted) return false;
  text.remove_prefix(wanted.size());
  return true;
}

// ATTEMPT-RANK-NUMBER.log
struct SegmentName {
  AttemptNumber attempt = 0;
  std::uint32_t rank = 0;
  std::uint64_t number = 0;
};
bool read_name(std::string_view text, SegmentName& out) {
  return read_number(text, out.attempt) && take(text, "-") && read_number(text, out.rank) &&
         take(text, "-") && read_number(text, out.number) && text == ".log";
}

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

Time modified(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return time_from_unix_ms(std::int64_t{info.st_mtim.tv_sec} * 1000);
}

}  // namespace

bool is_project_folder(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Result<std::unique_ptr<LogStore>> LogStore::open(const fs::path& root, LogBounds bounds) {
  if (Status s = ensure_private_folder(root); !s.ok()) return fail(s);
  const fs::path format = root / "FORMAT";
  auto text = read_file(format, 256);
  if (!text && text.error().code != Code::kNotFound) return fail(text.error());
  if (!text) {
    if (Status s = write_file_atomically(format, kFormatLine); !s.ok()) return fail(s);
  } else if (*text != kFormatLine) {
    return fail(Code::kFailedPrecondition,
                "the logs in " + root.string() + " are of another format than this program's");
  }
  std::unique_ptr<LogStore> store(new LogStore(root, bounds));
  store->scan();
  return store;
}

// Names and sizes alone: a job's segments are read when it is first asked for.
void LogStore::scan() {
  MutexLock lock(mutex_);
  std::error_code failed;
  for (const auto& project : fs::directory_iterator(root_, failed)) {
    if (!project.is_directory(failed) || !is_project_folder(project.path().filename().string()))
      continue;
    for (const auto& folder : fs::directory_iterator(project.path(), failed)) {
      const std::string name = folder.path().filename();
      std::string_view rest = name;
      std::uint64_t job = 0;
      if (!take(rest, "job-") || !read_number(rest, job) || !rest.empty()) continue;
      JobState state;
      for (const auto& file : fs::directory_iterator(folder.path(), failed)) {
        SegmentName segment;
        if (!read_name(file.path().filename().string(), segment)) continue;
        const std::uint64_t bytes = file.file_size(failed);
        if (!failed) state.bytes += bytes;
        state.last_append = std::max(state.last_append, modified(file.path()));
      }
      total_ += state.bytes;
      jobs_.emplace(JobKey{project.path().filename().string(), JobId(job)}, std::move(state));
    }
  }
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

LogStore::JobState LogStore::load_folder(const fs::path& folder, const JobKey& key) {
  JobState job;
  job.loaded = true;
  std::error_code failed;
  std::map<Lane, std::map<std::uint64_t, Segment>> found;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    SegmentName name;
    if (!read_name(entry.path().filename().string(), name)) continue;
    std::error_code no_size;
    const std::uint64_t size = entry.file_size(no_size);
    // Larger than any that we write: none of ours.
    if (no_size || size > (std::uint64_t{2} << 20)) continue;
    const std::string data = read_beginning(entry.path(), size);
    auto reader = SegmentReader::open(data);
    const bool is_its_own = reader && reader->header().job == key.job.value() &&
                            reader->header().attempt == name.attempt &&
                            reader->header().rank == name.rank;
    Segment segment{.number = name.number};
    if (is_its_own) {
      segment.lines_before = reader->header().lines_before;
      segment.text_before = reader->header().bytes_before;
      while (const auto item = reader->next()) {
        const bool gap = item->entry.is_gap();
        segment.lines += gap ? item->entry.lines_lost : 1;
        segment.text += gap ? item->entry.bytes_lost : item->entry.text.size();
        segment.last_sequence = std::max(segment.last_sequence, item->sequence);
      }
      segment.bytes = reader->good_bytes();
    }
    // A torn end is cut; a file without a beginning goes.
    if (segment.last_sequence == 0) {
      fs::remove(entry.path(), failed);
      continue;
    }
    if (segment.bytes < size) fs::resize_file(entry.path(), segment.bytes, failed);
    job.bytes += segment.bytes;
    job.next_sequence = std::max(job.next_sequence, segment.last_sequence + kSequenceJump);
    job.last_append = std::max(job.last_append, modified(entry.path()));
    found[{name.attempt, name.rank}][name.number] = segment;
  }
  for (const auto& [lane, segments] : found)
    for (const auto& [number, segment] : segments) job.lanes[lane].segments.push_back(segment);
  return job;
}

// Reads what is on disk of a job that an earlier process left. Under writing_, so that nothing is
// cut that another thread has just appended.
void LogStore::load(const JobKey& key) {
  {
    MutexLock lock(mutex_);
    const auto at = jobs_.find(key);
    if (at == jobs_.end() || at->second.loaded) return;
  }
  JobState job = load_folder(folder(key), key);
  MutexLock lock(mutex_);
  const auto at = jobs_.find(key);
  if (at == jobs_.end()) return;
  total_ += job.bytes;
  total_ -= at->second.bytes;
  at->second = std::move(job);
}

void LogStore::load_if_needed(const JobKey& key) {
  {
    MutexLock lock(mutex_);
    const auto at = jobs_.find(key);
    if (at == jobs_.end() || at->second.loaded) return;
  }
  MutexLock writing(writing_);
  load(key);
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
