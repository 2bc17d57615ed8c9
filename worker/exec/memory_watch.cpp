#include "worker/exec/memory_watch.h"

#include <algorithm>

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;

// Four times what a program was seen to fill (2 GiB/s): the next look comes before the limit.
constexpr std::uint64_t kFillPerMillisecond = (std::uint64_t{8} << 30) / 1000;
constexpr milliseconds kWaitMin{1};
constexpr milliseconds kWaitMax{20};
constexpr milliseconds kExactEvery{100};

}  // namespace

void MemoryWatch::note(std::uint64_t bytes) {
  used_ = bytes;
  peak_ = std::max(peak_, bytes);
}

MemoryWatch::Decision MemoryWatch::later(std::uint64_t bytes) {
  note(bytes);
  const std::uint64_t room = limit_ - std::min(limit_, bytes);
  const auto wait = milliseconds(static_cast<std::int64_t>(
      std::min<std::uint64_t>(room / kFillPerMillisecond, kWaitMax.count())));
  return {Look::kNothing, std::clamp(wait, kWaitMin, kWaitMax)};
}

MemoryWatch::Decision MemoryWatch::resident(std::uint64_t bytes) {
  return bytes < limit_ ? later(bytes) : Decision{Look::kUnshared, {}};
}

MemoryWatch::Decision MemoryWatch::unshared(milliseconds now, std::uint64_t bytes) {
  unshared_ = bytes;
  if (bytes < limit_) {
    counted_twice_ = 0;
    return later(bytes);
  }
  // A page that forked processes stop sharing changes no cheap size: look again now and then.
  const std::uint64_t estimate = bytes - std::min(bytes, counted_twice_);
  if (estimate >= limit_ || now >= exact_due_) return {Look::kExact, {}};
  return later(estimate);
}

MemoryWatch::Decision MemoryWatch::exact(milliseconds now, std::uint64_t bytes, milliseconds took) {
  counted_twice_ = unshared_ - std::min(unshared_, bytes);
  exact_due_ = now + std::max(kExactEvery, 10 * took);
  if (bytes > limit_) {
    note(bytes);
    return {Look::kKill, {}};
  }
  return later(bytes);
}

}  // namespace overwinter::worker::exec
