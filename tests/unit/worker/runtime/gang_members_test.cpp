#include "worker/runtime/gang_members.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/security/encoding.h"

namespace overwinter::worker {
namespace {

GangMember member(std::uint32_t seat, std::uint64_t worker, std::string host, std::string peer) {
  GangMember out;
  out.seat = {JobId(7), 2, seat};
  out.worker = WorkerId(worker);
  out.host_id = std::move(host);
  out.peer_address = std::move(peer);
  return out;
}

// Two machines: workers 1 and 2 on the first, 3 with two devices on the second.
std::vector<GangMember> two_machines() {
  return {member(1, 1, "a", "10.0.0.1:7610"), member(2, 2, "a", "10.0.0.1:7611"),
          member(3, 3, "b", "10.0.0.2:7610"), member(4, 3, "b", "10.0.0.2:7610")};
}

TEST(GangMembers, WorkersOfOneMachineAreOneHostAndTheFirstStartsItsRanks) {
  const auto first = order_from_members(two_machines(), WorkerId(1), "10.0.0.0/24", "secret");
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_EQ(first->hosts.size(), 2U);
  EXPECT_EQ(first->hosts[0].mpi_address, "10.0.0.1");
  EXPECT_EQ(first->hosts[0].peer_address, "10.0.0.1:7610");
  EXPECT_EQ(first->hosts[0].slots, 2U);
  EXPECT_EQ(first->hosts[1].slots, 2U);
  EXPECT_EQ(first->network, "10.0.0.0/24");
  EXPECT_TRUE(first->leads());
  EXPECT_EQ(first->own_ranks(), (std::vector<std::uint32_t>{0}));

  const auto second = order_from_members(two_machines(), WorkerId(2), "10.0.0.0/24", "secret");
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->starts());
  EXPECT_FALSE(second->leads());
  EXPECT_EQ(second->own_ranks(), (std::vector<std::uint32_t>{1}));

  const auto third = order_from_members(two_machines(), WorkerId(3), "10.0.0.0/24", "secret");
  ASSERT_TRUE(third);
  EXPECT_TRUE(third->starts());
  EXPECT_FALSE(third->leads());
  EXPECT_EQ(third->own_ranks(), (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(third->token_hash, sha256("secret"));
}

TEST(GangMembers, OneHostMeetsOnLoopbackAndNeedsNoNetwork) {
  const auto order =
      order_from_members({member(1, 1, "a", ""), member(2, 2, "a", "")}, WorkerId(1), "", "t");
  ASSERT_TRUE(order);
  EXPECT_EQ(order->hosts.front().mpi_address, "127.0.0.1");
  EXPECT_EQ(order->network, "127.0.0.0/8");
}

TEST(GangMembers, WhoIsNoMemberAndRanksThatAreScatteredAreRefused) {
  EXPECT_FALSE(order_from_members(two_machines(), WorkerId(9), "10.0.0.0/24", "t"));
  auto scattered = two_machines();
  std::swap(scattered[1], scattered[2]);
  const auto refused = order_from_members(scattered, WorkerId(1), "10.0.0.0/24", "t");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "members");
}

TEST(GangMembers, RanksAreByTheOrderOfAllMembers) {
  const auto ranks = ranks_of(two_machines(), WorkerId(3));
  ASSERT_EQ(ranks.size(), 2U);
  EXPECT_EQ(ranks.at({JobId(7), 2, 3}), 2U);
  EXPECT_EQ(ranks.at({JobId(7), 2, 4}), 3U);
}

TEST(GangMembers, GangsRunAsUsersOfTheirOwnWhereThisIsRoot) {
  const uid_t one = gang_user({JobId(1), 1});
  if (::geteuid() != 0) {
    EXPECT_EQ(one, ::geteuid());
    return;
  }
  EXPECT_NE(one, gang_user({JobId(1), 2}));
  EXPECT_NE(one, gang_user({JobId(2), 1}));
  EXPECT_GE(one, 62'000U);
}

TEST(GangMembers, APortOfMpirunIsFreeAndInItsRange) {
  const auto port = free_mpirun_port({JobId(3), 1});
  ASSERT_TRUE(port) << port.error().message;
  EXPECT_GE(*port, kMpirunPortFirst);
  EXPECT_LE(*port, kMpirunPortLast);
}

}  // namespace
}  // namespace overwinter::worker
