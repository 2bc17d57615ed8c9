#include "coordinator/runtime/admission.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace overwinter::runtime {
namespace {

using Id = Admission::Id;

bool enters(Admission& port, const std::string& address) {
  return port.enter(address).has_value();
}

TEST(Admission, BoundsAllAndEachAddress) {
  Admission port({.connections_max = 4, .of_an_address_max = 2});
  EXPECT_TRUE(enters(port, "10.0.0.1"));
  EXPECT_TRUE(enters(port, "10.0.0.1"));
  EXPECT_FALSE(enters(port, "10.0.0.1"));
  EXPECT_TRUE(enters(port, "10.0.0.2"));
  EXPECT_TRUE(enters(port, "10.0.0.3"));
  EXPECT_FALSE(enters(port, "10.0.0.2"));
  const ConnectionCounts counts = port.counts();
  EXPECT_EQ(counts.open, 4U);
  EXPECT_EQ(counts.accepted, 4U);
  EXPECT_EQ(counts.of_address, 1U);
  EXPECT_EQ(counts.full, 1U);
}

TEST(Admission, WhoLeavesMakesRoomForItsAddressToo) {
  Admission port({.connections_max = 2, .of_an_address_max = 1});
  const auto first = port.enter("10.0.0.1");
  ASSERT_TRUE(first);
  EXPECT_FALSE(enters(port, "10.0.0.1"));
  port.leave(first->id);
  port.leave(first->id);
  EXPECT_EQ(port.counts().open, 0U);
  EXPECT_TRUE(enters(port, "10.0.0.1"));
}

TEST(Admission, ANetworkOfIPv6IsOneAddress) {
  Admission port({.connections_max = 9, .of_an_address_max = 1});
  EXPECT_TRUE(enters(port, "2001:db8:0:1::7"));
  EXPECT_FALSE(enters(port, "2001:db8:0:1:ffff::8"));
  EXPECT_TRUE(enters(port, "2001:db8:0:2::7"));
}

TEST(Admission, OfAFullPortTheOldestOfTheAddressWithMostMakesRoom) {
  Admission port({.connections_max = 5, .of_an_address_max = 5});
  EXPECT_TRUE(enters(port, "few"));
  std::vector<Id> many;
  for (int i = 0; i < 4; ++i) many.push_back(port.enter("many")->id);
  const auto other = port.enter("other");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->displaced, many[0]);
  EXPECT_EQ(port.enter("other")->displaced, many[1]);
  // 1, 2 and 2 now: whoever of them took one more would have as many as who gave it.
  EXPECT_FALSE(enters(port, "other"));
  EXPECT_FALSE(enters(port, "many"));
  EXPECT_FALSE(enters(port, "few"));
  EXPECT_EQ(port.enter("new")->displaced.has_value(), true);
  const ConnectionCounts counts = port.counts();
  EXPECT_EQ(counts.open, 5U);
  EXPECT_EQ(counts.displaced, 3U);
  EXPECT_EQ(counts.full, 3U);
  port.leave(many[0]);  // it left when another took its place
  EXPECT_EQ(port.counts().open, 5U);
}

TEST(Admission, WhoIsKnownMakesRoomForNobody) {
  Admission port({.connections_max = 3, .of_an_address_max = 3});
  std::vector<Id> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(port.enter("10.0.0.1")->id);
  for (const Id id : ids) port.known(id);
  EXPECT_FALSE(enters(port, "10.0.0.2"));
  port.leave(ids[1]);
  EXPECT_TRUE(enters(port, "10.0.0.2"));
  port.known(ids[1]);  // gone: nothing
  EXPECT_EQ(port.counts().open, 3U);
}

TEST(Admission, OfThoseThatShowNobodyThereAreFewer) {
  Admission port({.connections_max = 100, .unknown_max = 2, .of_an_address_max = 9});
  const auto known = port.enter("10.0.0.1");
  port.known(known->id);
  EXPECT_TRUE(enters(port, "10.0.0.1"));
  EXPECT_TRUE(enters(port, "10.0.0.1"));
  EXPECT_FALSE(enters(port, "10.0.0.1"));
  EXPECT_TRUE(enters(port, "10.0.0.2"));  // one of the first makes room
  EXPECT_EQ(port.counts().open, 3U);
  EXPECT_EQ(port.counts().displaced, 1U);
}

TEST(Admission, CrowdedAtThreeQuartersOfEither) {
  Admission port({.connections_max = 4, .of_an_address_max = 4});
  EXPECT_TRUE(enters(port, "a") && enters(port, "a"));
  EXPECT_FALSE(port.crowded());
  const auto third = port.enter("a");
  EXPECT_TRUE(port.crowded());
  port.leave(third->id);
  EXPECT_FALSE(port.crowded());

  Admission roomy({.connections_max = 100, .unknown_max = 4});
  std::vector<Id> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(roomy.enter("a")->id);
  EXPECT_TRUE(roomy.crowded());
  roomy.known(ids[0]);
  EXPECT_FALSE(roomy.crowded());
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
