// What the logs and curves of jobs are made of.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/domain/ids.h"

namespace overwinter::telemetry {

// Logs belong to a project first: a job of another one is not found.
struct JobKey {
  std::string project;
  JobId job;
  friend auto operator<=>(const JobKey&, const JobKey&) = default;
};

enum class Stream : std::uint8_t {
  kOut = 1,
  kErr = 2,
  kSystem = 3,  // of ours: setup, launcher, what ended the process
};

inline constexpr std::size_t kLineBytesMax = std::size_t{16} * 1024;

// A line of one rank (not empty of counts), or a place where lines were lost on the way (text is
// empty, and one of the counts is not 0).
struct LogEntry {
  AttemptNumber attempt = 0;
  std::uint32_t rank = 0;
  Stream stream = Stream::kOut;
  Time time = {};
  std::string text = {};  // without its line end; longer than kLineBytesMax: cut
  std::uint64_t lines_lost = 0;
  std::uint64_t bytes_lost = 0;

  [[nodiscard]] bool is_gap() const { return lines_lost != 0 || bytes_lost != 0; }
};

// An entry as it is kept: with its number within the job, which only grows.
struct LogItem {
  std::uint64_t sequence = 0;
  LogEntry entry = {};
  bool cut = false;  // the line was longer
  // A gap that the job's bound made: it has the number of the item that it stands before.
  bool by_bound = false;
};

struct LogQuery {
  std::optional<std::uint32_t> rank = {};
  std::optional<AttemptNumber> attempt = {};
  std::optional<std::uint64_t> tail = {};  // the last so many lines; at most kTailMax
  std::optional<Time> since = {};          // lines of that time or later
  std::uint64_t after = 0;                 // items with larger numbers; 0: from the beginning
  std::size_t items_max = 1000;
  std::size_t bytes_max = std::size_t{1} << 20;
};
inline constexpr std::uint64_t kTailMax = 100'000;

struct LogPage {
  std::vector<LogItem> items = {};
  std::uint64_t next = 0;  // the `after` to go on with
  bool more = false;       // there are more already
};

// A value of a metric: loss, validation_loss, …
struct CurvePoint {
  std::string name = {};  // 1 to kMetricNameBytesMax bytes
  AttemptNumber attempt = 0;
  std::uint64_t step = 0;
  Time time = {};
  double value = 0;
  std::uint32_t seat = 0;  // whose ranks told it; not kept
};
inline constexpr std::size_t kMetricNameBytesMax = 64;

}  // namespace overwinter::telemetry
