#include "common/base/clock.h"

#include <ctime>

#include <algorithm>

namespace overwinter {
namespace {

class SystemClock final : public Clock {
 public:
  std::chrono::milliseconds wall() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
  }
  std::chrono::nanoseconds monotonic() const override {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
};

constexpr std::int64_t kSlewDivisor = 2000;  // 500 ppm

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

ClusterClock::ClusterClock(const Clock& clock, Time last_durable)
    : clock_(clock),
      last_monotonic_(clock.monotonic()),
      cluster_(std::max<std::chrono::nanoseconds>(clock.wall(), last_durable.time_since_epoch())) {}

Time ClusterClock::now() {
  const std::chrono::nanoseconds monotonic = clock_.monotonic();
  const std::chrono::nanoseconds elapsed =
      std::max(std::chrono::nanoseconds(0), monotonic - last_monotonic_);
  last_monotonic_ = monotonic;
  cluster_ += elapsed;
  const std::chrono::nanoseconds ahead = clock_.wall() - cluster_;
  const std::chrono::nanoseconds most = elapsed / kSlewDivisor;
  cluster_ += std::clamp(ahead, -most, most);
  wall_ahead_ = std::chrono::duration_cast<Duration>(clock_.wall() - cluster_);
  return Time(std::chrono::floor<Duration>(cluster_));
}

}  // namespace overwinter
