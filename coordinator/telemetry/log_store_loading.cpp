// What an earlier process left of the logs: the folders are looked at when the store is opened, the
// lines of a job when it is first asked for.
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "common/security/file_io.h"
#include "coordinator/telemetry/log_segment.h"
#include "coordinator/telemetry/log_store.h"

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatLine = "overwinter-telemetry 1\n";
// A crash may have cost lines whose numbers a reader has seen: the next ones are larger than those.
constexpr std::uint64_t kSequenceJump = 1 << 20;

template <class T>
bool read_number(std::string_view& text, T& out) {
  const auto [end, parsed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (parsed != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}
bool take_word(std::string_view& text, std::string_view wanted) {
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
  return read_number(text, out.attempt) && take_word(text, "-") && read_number(text, out.rank) &&
         take_word(text, "-") && read_number(text, out.number) && text == ".log";
}

Time modified(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return time_from_unix_ms(std::int64_t{info.st_mtim.tv_sec} * 1000);
}

}  // namespace

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
      if (!take_word(rest, "job-") || !read_number(rest, job) || !rest.empty()) continue;
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

}  // namespace overwinter::telemetry
