// The clocks of a machine, behind an interface so that tests move time.
#pragma once

#include <chrono>

#include "common/base/time.h"

namespace overwinter {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since 1970, as the machine believes. May jump.
  [[nodiscard]] virtual std::chrono::milliseconds wall() const = 0;
  // CLOCK_BOOTTIME: never jumps back and goes on in suspend. Only differences mean something.
  [[nodiscard]] virtual std::chrono::nanoseconds monotonic() const = 0;
};

// The machine's own clocks. Thread-safe.
[[nodiscard]] Clock& system_clock();

// Cluster time from a machine's clocks (ARCHITECTURE §3): wall clock at start, advanced by the
// monotonic clock, slewed towards the wall clock by at most 500 ppm, never backwards. Not
// thread-safe: the core loop owns it.
class ClusterClock {
 public:
  // `last_durable`: the time of the last durable turn; the clock starts at max(wall, last_durable).
  ClusterClock(const Clock& clock, Time last_durable);
  [[nodiscard]] Time now();
  // How far the wall clock is ahead of cluster time at the last now(); a jump shows here and moves
  // no bill.
  [[nodiscard]] Duration wall_ahead() const { return wall_ahead_; }

 private:
  const Clock& clock_;
  std::chrono::nanoseconds last_monotonic_;
  std::chrono::nanoseconds cluster_;  // since 1970
  Duration wall_ahead_{0};
};

}  // namespace overwinter
