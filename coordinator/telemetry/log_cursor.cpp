#include "coordinator/telemetry/log_cursor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <queue>
#include <tuple>

namespace overwinter::telemetry {
namespace {

using Lanes = std::vector<std::vector<SegmentFile>>;

// Hands out every item above `after` until `take` says no.
void merge(const Lanes& lanes, std::uint64_t after, const std::function<bool(LogItem&)>& take) {
  std::vector<LaneReader> readers;
  readers.reserve(lanes.size());
  using Next = std::tuple<std::uint64_t, bool, std::size_t>;  // number, gaps first, reader
  std::priority_queue<Next, std::vector<Next>, std::greater<>> order;
  const auto push = [&](std::size_t i) {
    if (const auto& item = readers[i].item())
      order.emplace(item->sequence, !item->entry.is_gap(), i);
  };
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    readers.emplace_back(lanes[i]).start(after);
    push(i);
  }
  while (!order.empty()) {
    const std::size_t i = std::get<2>(order.top());
    order.pop();
    LogItem item = *readers[i].item();
    if (!take(item)) return;
    readers[i].advance();
    push(i);
  }
}

bool is_wanted(const LogItem& item, const LogQuery& query) {
  return !query.since || item.entry.time >= *query.since;
}

// Numbers of the last lines above `after`, at most `most` of them.
std::deque<std::uint64_t> last_numbers(const Lanes& lanes, const LogQuery& query,
                                       std::uint64_t after, std::uint64_t most) {
  std::deque<std::uint64_t> numbers;
  merge(lanes, after, [&](LogItem& item) {
    if (item.entry.is_gap() || !is_wanted(item, query)) return true;
    numbers.push_back(item.sequence);
    if (numbers.size() > most) numbers.pop_front();
    return true;
  });
  return numbers;
}

// The number before that of the first of the last lines. From the end backwards, twice as many
// segments each time: a page asks for a dozen lines of a long log every few seconds.
std::uint64_t tail_start(const Lanes& lanes, const LogQuery& query, std::uint64_t last) {
  const std::uint64_t wanted = std::min(*query.tail, kTailMax);
  if (wanted == 0) return last;
  std::vector<std::uint64_t> ends;  // of segments, newest first
  for (const auto& files : lanes)
    for (const SegmentFile& file : files) ends.push_back(file.last_sequence);
  std::ranges::sort(ends, std::greater<>());
  for (std::size_t back = 1;; back *= 2) {
    const std::uint64_t after =
        back < ends.size() ? std::max(query.after, ends[back]) : query.after;
    const auto numbers = last_numbers(lanes, query, after, wanted);
    if (numbers.size() < wanted && after > query.after) continue;
    return numbers.empty() ? last : numbers.front() - 1;
  }
}

}  // namespace

void read_lanes(const Lanes& lanes, const LogQuery& query, std::uint64_t last, LogPage& page) {
  const std::uint64_t after =
      query.tail ? std::max(query.after, tail_start(lanes, query, last)) : query.after;
  page.next = std::max(page.next, after);
  std::size_t bytes = 0;
  merge(lanes, after, [&](LogItem& item) {
    if (page.items.size() >= query.items_max || bytes >= query.bytes_max) {
      page.more = true;
      return false;
    }
    page.next = std::max(page.next, item.sequence - (item.by_bound ? 1 : 0));
    if (!is_wanted(item, query)) return true;
    bytes += item.entry.text.size() + sizeof(LogItem);
    page.items.push_back(std::move(item));
    return true;
  });
  if (!page.more) page.next = std::max(page.next, last);
}

std::string read_beginning(const std::filesystem::path& path, std::uint64_t bytes) {
  std::string data;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return data;
  data.resize(bytes);
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t n = ::read(fd, data.data() + done, data.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::close(fd);
  data.resize(done);
  return data;
}

void LaneReader::start(std::uint64_t after) {
  after_ = after;
  // Whole segments before it are not even opened; what they miss was told when they were read.
  while (next_file_ < files_.size() && files_[next_file_].last_sequence <= after) ++next_file_;
  if (next_file_ == 0) {
    lines_ = 0;
    text_ = 0;
  }
  advance();
}

bool LaneReader::open_next() {
  while (next_file_ < files_.size()) {
    const SegmentFile& file = files_[next_file_++];
    data_ = read_beginning(file.path, file.bytes);
    auto reader = SegmentReader::open(data_);
    if (!reader) continue;
    reader_ = *reader;
    return true;
  }
  reader_.reset();
  return false;
}

void LaneReader::advance() {
  if (held_) {
    item_ = std::move(held_);
    held_.reset();
    return;
  }
  item_.reset();
  while (true) {
    if (reader_) {
      while (auto item = reader_->next()) {
        text_ += item->entry.is_gap() ? item->entry.bytes_lost : item->entry.text.size();
        *lines_ += item->entry.is_gap() ? item->entry.lines_lost : 1;
        if (item->sequence <= after_) continue;
        item_ = std::move(item);
        return;
      }
    }
    if (!open_next()) return;
    const SegmentHeader& header = reader_->header();
    LogItem gap;
    if (lines_ && header.lines_before > *lines_)
      gap.entry.lines_lost = header.lines_before - *lines_;
    if (lines_ && header.bytes_before > text_) gap.entry.bytes_lost = header.bytes_before - text_;
    lines_ = header.lines_before;
    text_ = header.bytes_before;
    if (!gap.entry.is_gap()) continue;
    auto first = reader_->next();
    if (!first) continue;
    text_ += first->entry.is_gap() ? first->entry.bytes_lost : first->entry.text.size();
    *lines_ += first->entry.is_gap() ? first->entry.lines_lost : 1;
    if (first->sequence <= after_) continue;
    gap.sequence = first->sequence;
    gap.by_bound = true;
    gap.entry.attempt = header.attempt;
    gap.entry.rank = header.rank;
    gap.entry.stream = Stream::kSystem;
    gap.entry.time = first->entry.time;
    item_ = std::move(gap);
    held_ = std::move(first);
    return;
  }
}

}  // namespace overwinter::telemetry
