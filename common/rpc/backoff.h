// Backoff: exponential, with jitter, bounded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "common/base/time.h"

namespace overwinter {

// A value; not synchronised. Each next() is between a half and the whole of a limit that doubles
// from `first` to `longest`: many who lost the same peer do not come back at once.
class Backoff {
 public:
  Backoff(Duration first, Duration longest, std::uint64_t seed)
      : first_(first), longest_(longest), limit_(first), random_(seed) {}

  [[nodiscard]] Duration next() {
    const Duration limit = limit_;
    limit_ = std::min(limit_ * 2, longest_);
    std::uniform_int_distribution<Duration::rep> jitter(limit.count() / 2, limit.count());
    return Duration(jitter(random_));
  }
  void reset() { limit_ = first_; }

 private:
  Duration first_;
  Duration longest_;
  Duration limit_;
  std::mt19937_64 random_;
};

}  // namespace overwinter
