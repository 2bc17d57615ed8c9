// Moment: the worker's own monotonic time (CLOCK_BOOTTIME), whole milliseconds from an arbitrary
// origin. It is never compared with cluster time: only its differences mean something.
#pragma once

#include <chrono>

#include "common/base/time.h"

namespace overwinter::worker {

struct MonotonicClockTag {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClockTag, duration>;
  static constexpr bool is_steady = true;
};
using Moment = MonotonicClockTag::time_point;

}  // namespace overwinter::worker
