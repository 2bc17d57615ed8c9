#include "worker/app/peer_network.h"

#include <gtest/gtest.h>

namespace overwinter::worker {
namespace {

TEST(PeerNetwork, LoopbackIsForGangsOfThisHostAlone) {
  const auto found = peer_network("auto", {"localhost:7602"});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->address, "127.0.0.1");
  EXPECT_EQ(found->network, "");
  EXPECT_EQ(peer_network("", {"127.0.0.1:7602"})->address, "127.0.0.1");
}

TEST(PeerNetwork, ACoordinatorElsewhereComesBeforeOneOnLoopback) {
  // Nothing is sent: the address is that of the route, where the machine has one beyond loopback.
  const auto alone = peer_network("auto", {"192.0.2.1:7602"});
  ASSERT_TRUE(alone);
  if (alone->network.empty()) GTEST_SKIP() << "this machine has no way to other machines";
  const auto found = peer_network("auto", {"localhost:7602", "192.0.2.1:7602"});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->address, alone->address);
  EXPECT_EQ(found->network, alone->network);
}

TEST(PeerNetwork, WhatIsNotThereIsRefused) {
  const auto refused = peer_network("203.0.113.9", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "peer-address");
}

}  // namespace
}  // namespace overwinter::worker
