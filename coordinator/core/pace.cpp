#include "coordinator/core/pace.h"

#include <algorithm>

namespace overwinter::core {
namespace {

constexpr std::size_t kLeast = 3;

}  // namespace

void Pace::note(Time now, std::optional<Time> before) {
  last_ = now;
  if (!before) return;
  const Duration took = now - *before;
  // Seats that step together say the same at the same time: the long pause of a large gang would
  // fill all places at once.
  if (noted_ > 0 && now - kept_at_ < took / 2) return;
  intervals_[noted_++ % kKept] = took;
  kept_at_ = now;
}

std::optional<Duration> Pace::usual() const {
  if (noted_ < kLeast) return std::nullopt;
  auto sorted = intervals_;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(noted_, kKept));
  const auto middle = sorted.begin() + (end - sorted.begin()) / 2;
  std::nth_element(sorted.begin(), middle, end);
  return *middle;
}

}  // namespace overwinter::core
