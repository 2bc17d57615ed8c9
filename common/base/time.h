// Cluster time and durations. Both are whole milliseconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace overwinter {

// The coordinator's clock: wall clock at start, advanced by the monotonic clock, never backwards
// (ARCHITECTURE §3). It has no now(): who needs the time gets it as an argument.
struct ClusterClockTag {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<ClusterClockTag, duration>;
  static constexpr bool is_steady = true;
};

using Duration = std::chrono::milliseconds;
using Time = ClusterClockTag::time_point;

// Milliseconds since 1970-01-01T00:00:00Z.
[[nodiscard]] constexpr Time time_from_unix_ms(std::int64_t ms) {
  return Time(Duration(ms));
}
[[nodiscard]] constexpr std::int64_t unix_ms(Time t) {
  return t.time_since_epoch().count();
}

// RFC 3339 in UTC with milliseconds: 2026-11-24T10:00:00.000Z.
[[nodiscard]] std::string format_time(Time t);
// Takes RFC 3339 with Z or an offset, and a date alone (midnight UTC).
[[nodiscard]] Result<Time> parse_time(std::string_view text);

// "1h 2m", "3m 20s", "12.4s", "350ms": for people.
[[nodiscard]] std::string format_duration(Duration d);
// "90s", "30m", "12h", "7d", "1.5h", "250ms", "1h30m". A bare number is refused: it has no unit.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

// First instant of the UTC month that follows the one of t.
[[nodiscard]] Time next_month_start(Time t);

}  // namespace overwinter
