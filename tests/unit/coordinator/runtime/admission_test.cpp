#include "coordinator/runtime/admission.h"

#include <gtest/gtest.h>

namespace overwinter::runtime {
namespace {

TEST(Admission, BoundsAllAndEachAddress) {
  Admission port({.connections_max = 4, .of_an_address_max = 2});
  EXPECT_TRUE(port.enter("10.0.0.1"));
  EXPECT_TRUE(port.enter("10.0.0.1"));
  EXPECT_FALSE(port.enter("10.0.0.1"));
  EXPECT_TRUE(port.enter("10.0.0.2"));
  EXPECT_TRUE(port.enter("10.0.0.3"));
  EXPECT_FALSE(port.enter("10.0.0.4"));
  const ConnectionCounts counts = port.counts();
  EXPECT_EQ(counts.open, 4U);
  EXPECT_EQ(counts.accepted, 4U);
  EXPECT_EQ(counts.of_address, 1U);
  EXPECT_EQ(counts.full, 1U);
}

TEST(Admission, WhoLeavesMakesRoomForItsAddressToo) {
  Admission port({.connections_max = 2, .of_an_address_max = 1});
  EXPECT_TRUE(port.enter("10.0.0.1"));
  EXPECT_FALSE(port.enter("10.0.0.1"));
  port.leave("10.0.0.1");
  EXPECT_EQ(port.counts().open, 0U);
  EXPECT_TRUE(port.enter("10.0.0.1"));
}

TEST(Admission, ANetworkOfIPv6IsOneAddress) {
  Admission port({.connections_max = 9, .of_an_address_max = 1});
  EXPECT_TRUE(port.enter("2001:db8:0:1::7"));
  EXPECT_FALSE(port.enter("2001:db8:0:1:ffff::8"));
  EXPECT_TRUE(port.enter("2001:db8:0:2::7"));
  port.leave("2001:db8:0:1::9");  // whichever of the network it was
  EXPECT_TRUE(port.enter("2001:db8:0:1::a"));
}

TEST(Admission, CrowdedAtThreeQuarters) {
  Admission port({.connections_max = 4, .of_an_address_max = 4});
  EXPECT_TRUE(port.enter("a") && port.enter("a"));
  EXPECT_FALSE(port.crowded());
  EXPECT_TRUE(port.enter("a"));
  EXPECT_TRUE(port.crowded());
  port.leave("a");
  EXPECT_FALSE(port.crowded());
}

TEST(Admission, SaysWhyItEndedSomebody) {
  Admission port{AdmissionLimits{}};
  port.ended_late();
  port.ended_late();
  port.ended_greedy();
  EXPECT_EQ(port.counts().late, 2U);
  EXPECT_EQ(port.counts().greedy, 1U);
}

}  // namespace
}  // namespace overwinter::runtime
