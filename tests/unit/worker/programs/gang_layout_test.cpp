#include "worker/programs/gang_layout.h"

#include <gtest/gtest.h>

namespace overwinter::worker {
namespace {

GangMember member(std::uint64_t worker, const std::string& host, const std::string& address) {
  GangMember out;
  out.worker = WorkerId(worker);
  out.host_id = host;
  out.peer_address = address;
  return out;
}

TEST(GangLayout, CountsDevicesWorkerByWorker) {
  const std::vector<GangMember> members = {
      member(7, "a", "10.0.0.1:7610"), member(7, "a", "10.0.0.1:7610"),
      member(3, "a", "10.0.0.1:7611"), member(9, "b", "10.0.0.2:7610")};
  const auto layout = layout_of(members, WorkerId(9), {JobId(5), 2}, "10.0.0.2");
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->devices, (std::vector<std::uint32_t>{2, 1, 1}));
  EXPECT_EQ(layout->worker, 2U);
  EXPECT_EQ(layout->master_address, "10.0.0.1");
  EXPECT_NE(layout->master_port,
            layout_of(members, WorkerId(9), {JobId(5), 3}, "10.0.0.2")->master_port)
      << "a new one each attempt";
  EXPECT_EQ(layout->master_port,
            layout_of(members, WorkerId(7), {JobId(5), 2}, "10.0.0.1")->master_port)
      << "the same on all members";
  EXPECT_FALSE(layout_of(members, WorkerId(8), {JobId(5), 2}, "10.0.0.2").has_value());
}

TEST(GangLayout, AGangOfOneHostSpeaksOverLoopback) {
  const auto layout =
      layout_of({member(1, "a", ""), member(2, "a", "")}, WorkerId(2), {JobId(1), 1}, "192.0.2.1");
  ASSERT_TRUE(layout.has_value());
  EXPECT_EQ(layout->master_address, "127.0.0.1");
  EXPECT_EQ(layout->interface, "lo");
  EXPECT_EQ(interface_of("192.0.2.1"), "") << "this machine has no such address";
}

}  // namespace
}  // namespace overwinter::worker
