#include "common/base/clock.h"

#include <gtest/gtest.h>

#include <random>

namespace overwinter {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

class HandClock final : public Clock {
 public:
  milliseconds wall() const override { return wall_at; }
  nanoseconds monotonic() const override { return monotonic_at; }
  void advance(milliseconds by) {
    wall_at += by;
    monotonic_at += by;
  }
  milliseconds wall_at{1'000'000'000};
  nanoseconds monotonic_at{5};
};

TEST(ClusterClock, FollowsAWallClockThatBehaves) {
  HandClock machine;
  ClusterClock clock(machine, Time());
  EXPECT_EQ(clock.now(), Time(machine.wall_at));
  for (int i = 0; i < 1000; ++i) {
    machine.advance(milliseconds(7));
    ASSERT_EQ(clock.now(), Time(machine.wall_at));
  }
  EXPECT_EQ(clock.wall_ahead(), Duration(0));
}

TEST(ClusterClock, StartsNoEarlierThanTheLastDurableTurn) {
  HandClock machine;
  const Time durable(machine.wall_at + hours(1));
  ClusterClock clock(machine, durable);
  EXPECT_EQ(clock.now(), durable);
  EXPECT_EQ(clock.wall_ahead(), -Duration(hours(1)));
}

TEST(ClusterClock, AJumpForwardMovesNoBill) {
  HandClock machine;
  ClusterClock clock(machine, Time());
  const Time before = clock.now();
  machine.advance(seconds(10));
  machine.wall_at += hours(24);
  const Duration passed = clock.now() - before;
  EXPECT_EQ(passed, Duration(10'005));  // 500 ppm of ten seconds is 5 ms
  EXPECT_NEAR(static_cast<double>(clock.wall_ahead().count()), 24 * 3600e3 - 5, 1);
}

TEST(ClusterClock, AJumpBackIsSlewedAndNeverRunsBackwards) {
  HandClock machine;
  ClusterClock clock(machine, Time());
  const Time before = clock.now();
  machine.wall_at -= seconds(1);
  EXPECT_EQ(clock.now(), before);  // no monotonic time has passed
  // One second at 500 ppm takes 2000 s to make up.
  for (int i = 0; i < 2001; ++i) machine.advance(seconds(1)), (void)clock.now();
  EXPECT_EQ(clock.now(), Time(machine.wall_at));
}

TEST(ClusterClock, IsMonotoneAndWithin500PpmWhateverTheWallClockDoes) {
  HandClock machine;
  ClusterClock clock(machine, Time());
  std::mt19937_64 random(3);
  std::uniform_int_distribution<std::int64_t> step_ns(0, 50'000'000);
  std::uniform_int_distribution<std::int64_t> jump_ms(-100'000, 100'000);
  const Time start = clock.now();
  const nanoseconds monotonic_start = machine.monotonic_at;
  Time last = start;
  for (int i = 0; i < 100'000; ++i) {
    machine.monotonic_at += nanoseconds(step_ns(random));
    if (i % 10 == 0) machine.wall_at += milliseconds(jump_ms(random));
    const Time now = clock.now();
    ASSERT_GE(now, last);
    last = now;
    const auto elapsed =
        std::chrono::duration_cast<milliseconds>(machine.monotonic_at - monotonic_start);
    ASSERT_LE(std::chrono::abs((now - start) - elapsed), elapsed / 2000 + milliseconds(2));
  }
}

TEST(SystemClock, MonotonicTimeDoesNotRunBackwardsAndWallTimeIsThisCenturys) {
  const nanoseconds first = system_clock().monotonic();
  const nanoseconds second = system_clock().monotonic();
  EXPECT_LE(first, second);
  EXPECT_GT(Time(system_clock().wall()), *parse_time("2025-01-01"));
}

}  // namespace
}  // namespace overwinter
