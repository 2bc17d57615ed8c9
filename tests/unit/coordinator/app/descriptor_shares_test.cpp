#include "coordinator/app/descriptor_shares.h"

#include <gtest/gtest.h>

namespace overwinter::app {
namespace {

std::size_t taken(const DescriptorShares& shares) {
  return 2 * shares.people + 2 * shares.workers + shares.dashboard;
}

TEST(DescriptorShares, AQuarterIsLeftForFiles) {
  for (const std::size_t limit : {512U, 1024U, 4096U, 65'536U, 1'048'576U}) {
    const DescriptorShares shares = share_descriptors(limit);
    EXPECT_LE(taken(shares), limit / 4 * 3) << limit;
    EXPECT_GE(shares.workers, shares.people) << limit;
  }
}

TEST(DescriptorShares, TenThousandWorkersFitIntoWhatTheUnitAsksFor) {
  EXPECT_GE(share_descriptors(65'536).workers, 10'000U);
  EXPECT_EQ(share_descriptors(1'048'576).people, 4096U);
  EXPECT_EQ(share_descriptors(1'048'576).dashboard, 1024U);
}

TEST(DescriptorShares, ATinyLimitStillLetsSomebodyIn) {
  EXPECT_EQ(share_descriptors(0).people, 16U);
  EXPECT_EQ(share_descriptors(64).workers, 16U);
}

}  // namespace
}  // namespace overwinter::app
