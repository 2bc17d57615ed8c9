// Pace: when the running attempt of a job last showed progress, and how long that takes as a rule.
// Known from what workers say, so no finer than their heartbeats.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "common/base/time.h"

namespace overwinter::core {

class Pace {
 public:
  // A seat showed progress; `before`: when the same seat last did, in this attempt.
  void note(Time now, std::optional<Time> before);
  [[nodiscard]] std::optional<Time> last() const { return last_; }
  // The median of the last intervals between two signs of one seat, so that one long pause does
  // not move it; nothing before there are three.
  [[nodiscard]] std::optional<Duration> usual() const;

 private:
  static constexpr std::size_t kKept = 16;

  std::optional<Time> last_;
  Time kept_at_;  // when the last interval was kept
  std::array<Duration, kKept> intervals_{};
  std::size_t noted_ = 0;  // intervals, kept or overwritten
};

}  // namespace overwinter::core
