#include "coordinator/telemetry/log_queue.h"

#include <algorithm>

namespace overwinter::telemetry {
namespace {

constexpr std::size_t kBatchBytesMax = std::size_t{1} << 20;
constexpr std::size_t kHeadBytes = std::size_t{16} << 10;
constexpr std::size_t kLanesLostMax = 1024;  // of one job; more are counted as the last one's

std::size_t bytes_of(const LogEntry& entry) {
  return sizeof(LogEntry) + entry.text.capacity();
}
std::size_t bytes_of(const CurvePoint& point) {
  return sizeof(CurvePoint) + point.name.capacity();
}

}  // namespace

void LogQueue::push(JobBatch batch) {
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    const auto [at, is_new] = jobs_.try_emplace(batch.job);
    JobQueue& queue = at->second;
    std::size_t added = 0;
    for (LogEntry& entry : batch.entries) {
      // A long line is cut where it is kept; here it would only take room.
      if (entry.text.capacity() > 2 * kLineBytesMax) {
        entry.text.resize(std::min(entry.text.size(), kLineBytesMax + 1));
        entry.text.shrink_to_fit();
      }
      added += bytes_of(entry);
      const bool is_head = is_new && added <= kHeadBytes;
      (is_head ? queue.head : queue.entries).push_back(std::move(entry));
    }
    for (CurvePoint& point : batch.points) {
      added += bytes_of(point);
      queue.points.push_back(std::move(point));
    }
    queue.bytes += added;
    bytes_ += added;
    while (bytes_ > bytes_max_) drop_oldest();
  }
  changed_.notify_one();
}

void LogQueue::drop_oldest() {
  const auto most = std::max_element(jobs_.begin(), jobs_.end(), [](const auto& a, const auto& b) {
    return a.second.bytes < b.second.bytes;
  });
  JobQueue& queue = most->second;
  // In one go as much as makes the next push cheap: an eighth of what the job has.
  const std::size_t until = queue.bytes - queue.bytes / 8;
  drop_from(queue, queue.entries, until);
  while (!queue.points.empty() && queue.bytes > until) {
    queue.bytes -= bytes_of(queue.points.front());
    bytes_ -= bytes_of(queue.points.front());
    ++lost_;
    queue.points.pop_front();
  }
  drop_from(queue, queue.head, until);
}

void LogQueue::drop_from(JobQueue& queue, std::deque<LogEntry>& entries, std::size_t until) {
  while (!entries.empty() && queue.bytes > until) {
    const LogEntry& entry = entries.front();
    const Lane lane{entry.attempt, entry.rank};
    const bool is_known = queue.lost.contains(lane) || queue.lost.size() < kLanesLostMax;
    Lost& lost = is_known ? queue.lost[lane] : queue.lost.rbegin()->second;
    lost.lines += entry.is_gap() ? entry.lines_lost : 1;
    lost.bytes += entry.is_gap() ? entry.bytes_lost : entry.text.size();
    lost.time = entry.time;
    queue.bytes -= bytes_of(entry);
    bytes_ -= bytes_of(entry);
    ++lost_;
    entries.pop_front();
  }
}

bool LogQueue::pop(JobBatch& out) {
  out = {};
  MutexLock lock(mutex_);
  while (jobs_.empty() && !closed_) changed_.wait(mutex_);
  if (jobs_.empty()) return false;
  auto at = jobs_.upper_bound(last_);
  if (at == jobs_.end()) at = jobs_.begin();
  take(at, out);
  return true;
}

void LogQueue::take(Jobs::iterator at, JobBatch& out) {
  JobQueue& queue = at->second;
  out.job = last_ = at->first;
  const std::size_t until = queue.bytes > kBatchBytesMax ? queue.bytes - kBatchBytesMax : 0;
  const auto drain = [&](auto& from, auto& to) {
    while (!from.empty() && queue.bytes > until) {
      const std::size_t bytes = bytes_of(from.front());
      queue.bytes -= bytes;
      bytes_ -= bytes;
      to.push_back(std::move(from.front()));
      from.pop_front();
    }
  };
  drain(queue.head, out.entries);
  if (queue.head.empty()) {
    for (const auto& [lane, lost] : queue.lost) {
      out.entries.push_back({.attempt = lane.first,
                             .rank = lane.second,
                             .stream = Stream::kSystem,
                             .time = lost.time,
                             .text = {},
                             .lines_lost = lost.lines,
                             .bytes_lost = lost.bytes});
    }
    queue.lost.clear();
    drain(queue.points, out.points);
    drain(queue.entries, out.entries);
  }
  if (queue.entries.empty() && queue.points.empty() && queue.head.empty()) jobs_.erase(at);
}

void LogQueue::close() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

std::size_t LogQueue::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}
std::uint64_t LogQueue::lost() const {
  MutexLock lock(mutex_);
  return lost_;
}

}  // namespace overwinter::telemetry
