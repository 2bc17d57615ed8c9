#include "worker/exec/memory_watch.h"

#include <gtest/gtest.h>

#include "common/base/bytes.h"

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;
using Look = MemoryWatch::Look;

TEST(MemoryWatchTest, ComesBackSoonerTheNearerTheLimitIs) {
  MemoryWatch watch(kGiB);
  EXPECT_EQ(watch.resident(0).wait, milliseconds(20));
  EXPECT_EQ(watch.resident(kGiB - 80 * kMiB).wait, milliseconds(9));
  EXPECT_EQ(watch.resident(kGiB - 1).wait, milliseconds(1));
  EXPECT_EQ(watch.resident(kGiB).look, Look::kUnshared);
  EXPECT_EQ(watch.peak_bytes(), kGiB - 1);
}

TEST(MemoryWatchTest, WhatIsUsedNowFollowsEachLook) {
  MemoryWatch watch(kGiB);
  EXPECT_EQ(watch.used_bytes(), 0U);
  (void)watch.resident(kGiB / 2);
  (void)watch.resident(kMiB);
  EXPECT_EQ(watch.used_bytes(), kMiB);
  (void)watch.resident(2 * kGiB);  // file pages may be in it: a truer size comes
  EXPECT_EQ(watch.used_bytes(), kMiB);
  (void)watch.unshared(milliseconds(1), 3 * kMiB);
  EXPECT_EQ(watch.used_bytes(), 3 * kMiB);
  EXPECT_EQ(watch.exact(milliseconds(2), 2 * kGiB, milliseconds(1)).look, Look::kKill);
  EXPECT_EQ(watch.used_bytes(), 2 * kGiB);
  EXPECT_EQ(watch.peak_bytes(), 2 * kGiB);
}

TEST(MemoryWatchTest, FilePagesAreNobodysMemory) {
  MemoryWatch watch(kGiB);
  ASSERT_EQ(watch.resident(5 * kGiB).look, Look::kUnshared);
  EXPECT_EQ(watch.unshared(milliseconds(1), kMiB).look, Look::kNothing);
  EXPECT_EQ(watch.peak_bytes(), kMiB);
}

TEST(MemoryWatchTest, OnlyTheExactSizeKills) {
  MemoryWatch watch(kGiB);
  EXPECT_EQ(watch.unshared(milliseconds(200), 2 * kGiB).look, Look::kExact);
  EXPECT_EQ(watch.exact(milliseconds(200), kGiB, milliseconds(3)).look, Look::kNothing);
  EXPECT_EQ(watch.exact(milliseconds(200), kGiB + 1, milliseconds(3)).look, Look::kKill);
  EXPECT_EQ(watch.peak_bytes(), kGiB + 1);
}

TEST(MemoryWatchTest, WhatIsCountedTwiceIsNotMeasuredEachTime) {
  MemoryWatch watch(kGiB);
  ASSERT_EQ(watch.unshared(milliseconds(1000), 3 * kGiB).look, Look::kExact);
  ASSERT_EQ(watch.exact(milliseconds(1000), kGiB / 2, milliseconds(20)).look, Look::kNothing);
  EXPECT_EQ(watch.unshared(milliseconds(1010), 3 * kGiB).look, Look::kNothing);
  EXPECT_EQ(watch.unshared(milliseconds(1010), 3 * kGiB + kGiB / 2).look, Look::kExact);
  // Pages that stop being shared change no cheap size.
  EXPECT_EQ(watch.unshared(milliseconds(1199), 3 * kGiB).look, Look::kNothing);
  EXPECT_EQ(watch.unshared(milliseconds(1200), 3 * kGiB).look, Look::kExact);
}

// Two GiB a second in virtual time, on a machine that wakes the watchdog late.
TEST(MemoryWatchTest, AProgramThatFillsTwoGibibytesASecondOvershootsByLessThanATwentieth) {
  for (const int late_ms : {0, 1, 5, 10}) {
    MemoryWatch watch(kGiB);
    milliseconds now{0};
    MemoryWatch::Decision decision;
    std::uint64_t used = 0;
    for (int looks = 0; decision.look != Look::kKill; ++looks) {
      ASSERT_LT(looks, 10000);
      now += decision.wait + milliseconds(late_ms);
      used = static_cast<std::uint64_t>(now.count()) * (2 * kGiB / 1000);
      decision = watch.resident(used);
      if (decision.look == Look::kUnshared) decision = watch.unshared(now, used);
      // The tree stands still for it.
      if (decision.look == Look::kExact) decision = watch.exact(now, used, milliseconds(10));
    }
    EXPECT_GT(used, kGiB);
    EXPECT_LE(used, kGiB * 105 / 100) << late_ms;
  }
}

}  // namespace
}  // namespace overwinter::worker::exec
