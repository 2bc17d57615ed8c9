#include "coordinator/policy/gang_placement.h"

#include <gtest/gtest.h>

#include <deque>

#include "common/base/bytes.h"

namespace overwinter::policy {
namespace {

struct Machines {
  std::deque<DeviceInfo> devices;
  std::vector<std::string> projects;
  std::vector<Candidate> all;
  Demand demand;

  Machines() {
    demand.transport = Transport::kGang;
    demand.memory_bytes = kGiB;
  }
  Machines& add(std::uint64_t worker, const char* host, const char* network, std::int64_t price = 1,
                DeviceIndex index = 0) {
    devices.push_back({"cpu", "model", 2 * kGiB, 4, 10, 5});
    Candidate c;
    c.worker = WorkerId(worker);
    c.worker_name = host;
    c.index = index;
    c.projects = &projects;
    c.device = &devices.back();
    c.host_id = host;
    c.network = network;
    if (*network != 0) c.address = host;
    c.price_per_hour = Money{price};
    all.push_back(c);
    return *this;
  }
  GangChoice choose(std::uint32_t min, std::uint32_t max, std::uint32_t per_worker = 1) {
    demand.seats_min = min;
    demand.seats_max = max;
    demand.seats_per_worker = per_worker;
    return choose_gang({&demand, "p"}, all);
  }
  static std::vector<std::uint64_t> workers(const GangChoice& choice) {
    std::vector<std::uint64_t> ids;
    for (const Score& seat : choice.seats) ids.push_back(seat.worker.value());
    return ids;
  }
};

TEST(GangPlacement, TakesTheLargestGroupUpToTheMostThatIsWanted) {
  Machines m;
  m.add(1, "h1", "left").add(2, "h2", "right").add(3, "h3", "right").add(4, "h4", "right");
  EXPECT_EQ(Machines::workers(m.choose(1, 2)), (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(Machines::workers(m.choose(1, 9)), (std::vector<std::uint64_t>{2, 3, 4}));
}

TEST(GangPlacement, SaysHowManyThereAreWhenThereAreTooFew) {
  Machines m;
  m.add(1, "h1", "left").add(2, "h2", "right").add(3, "h3", "right");
  const GangChoice choice = m.choose(3, 3);
  EXPECT_TRUE(choice.seats.empty());
  EXPECT_EQ(choice.workers, 2U);
  EXPECT_EQ(choice.workers_fit, 3U);
}

TEST(GangPlacement, TakesTheFewestGpusOfTwoGroupsOfOneSize) {
  Machines m;
  m.add(1, "h1", "left", 0).add(2, "h2", "right", 9);
  m.devices[0].kind = "H100";
  EXPECT_EQ(Machines::workers(m.choose(1, 1)), std::vector<std::uint64_t>{2});
  m.demand.device_kind = "gpu";
  EXPECT_EQ(Machines::workers(m.choose(1, 1)), std::vector<std::uint64_t>{1});
}

TEST(GangPlacement, PrefersTheCheaperOfTwoGroupsOfOneSize) {
  Machines m;
  m.add(1, "h1", "left", 9)
      .add(2, "h2", "left", 9)
      .add(3, "h3", "right", 5)
      .add(4, "h4", "right", 6);
  EXPECT_EQ(Machines::workers(m.choose(2, 2)), (std::vector<std::uint64_t>{3, 4}));
}

TEST(GangPlacement, WorkersOfOneHostNeedNoNetwork) {
  Machines m;
  m.add(1, "h1", "").add(2, "h1", "").add(3, "h2", "");
  EXPECT_EQ(Machines::workers(m.choose(2, 3)), (std::vector<std::uint64_t>{1, 2}));
}

TEST(GangPlacement, OfHostsThatShareAnAddressOneIsTaken) {
  Machines m;
  m.add(1, "h1", "net", 1).add(2, "h2", "net", 2).add(3, "h3", "net", 3).add(4, "h3", "net", 4);
  m.all[0].address = m.all[2].address = m.all[3].address = "10.0.0.7";
  // h3 has two workers there, though h1 is cheaper.
  EXPECT_EQ(Machines::workers(m.choose(1, 9)), (std::vector<std::uint64_t>{2, 3, 4}));
  m.all.pop_back();
  EXPECT_EQ(Machines::workers(m.choose(1, 9)), (std::vector<std::uint64_t>{1, 2}));
  m.demand.seats_min = m.demand.seats_max = 3;
  const Explanation said = explain({&m.demand, "p"}, m.all);
  EXPECT_FALSE(said.could_start);
  EXPECT_NE(said.summary.find("at most 2 of the 3"), std::string::npos) << said.summary;
  EXPECT_NE(said.summary.find("addresses of their own"), std::string::npos) << said.summary;
}

TEST(GangPlacement, TheRanksOfAHostFollowEachOther) {
  Machines m;
  m.add(1, "h2", "net", 1).add(2, "h1", "net", 2).add(3, "h2", "net", 3);
  EXPECT_EQ(Machines::workers(m.choose(3, 3)), (std::vector<std::uint64_t>{2, 1, 3}));
}

TEST(GangPlacement, EachWorkerGivesAsManyDevicesAsAreAsked) {
  Machines m;
  m.add(1, "h1", "net", 1, 0).add(1, "h1", "net", 1, 1).add(2, "h2", "net", 1, 0);
  const GangChoice choice = m.choose(2, 4, 2);
  EXPECT_EQ(Machines::workers(choice), (std::vector<std::uint64_t>{1, 1}));
  EXPECT_EQ(choice.seats[1].device, 1U);
  EXPECT_TRUE(m.choose(4, 4, 2).seats.empty());
}

TEST(GangPlacement, WhatAnotherProjectUsesIsNotTaken) {
  Machines m;
  m.add(1, "h1", "net").add(2, "h2", "net");
  m.all[0].other_project = true;
  EXPECT_EQ(Machines::workers(m.choose(1, 2)), (std::vector<std::uint64_t>{2}));
  m.all[1].network_taken = true;
  EXPECT_TRUE(m.choose(1, 2).seats.empty());
}

TEST(GangPlacement, ExplainNamesTheNetworkThatIsMissing) {
  Machines m;
  m.add(1, "h1", "left").add(2, "h2", "right");
  m.demand.seats_min = m.demand.seats_max = 2;
  const Explanation said = explain({&m.demand, "p"}, m.all);
  EXPECT_FALSE(said.could_start);
  EXPECT_NE(said.summary.find("private network"), std::string::npos) << said.summary;
  EXPECT_NE(said.would_help.find("--peer-address"), std::string::npos);
  m.add(3, "h3", "right");
  EXPECT_TRUE(explain({&m.demand, "p"}, m.all).could_start);
}

}  // namespace
}  // namespace overwinter::policy
