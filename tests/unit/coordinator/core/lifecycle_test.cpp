#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

TEST(Lifecycle, AJobGoesFromSubmitToSucceeded) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(4).with_range_max(2));
  ASSERT_TRUE(id.valid());
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
  EXPECT_EQ(cluster.job(id).attempt, 1U);
  // The result is prepared before the seat is offered, and the reply is one effect of the same
  // turn.
  ASSERT_EQ(cluster.all<PrepareResult>().size(), 1U);
  const std::vector<OfferSeat> offers = cluster.all<OfferSeat>();
  ASSERT_EQ(offers.size(), 1U);
  EXPECT_EQ(offers[0].worker, worker);
  EXPECT_EQ(offers[0].threads, 4U);
  const SeatKey seat = offers[0].seat;
  // Its first range leaves with the offer, behind it.
  ASSERT_TRUE(std::holds_alternative<HandOutUnits>(cluster.out.effects.back()));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 2));

  cluster.began(seat);
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  EXPECT_EQ(cluster.last<AcknowledgeReports>().number, 1U);

  cluster.land(seat, units(0, 2));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(2, 4));
  cluster.land(seat, units(2, 3));
  EXPECT_EQ(cluster.job(id).done, units(0, 3));
  cluster.land(seat, units(2, 4));  // unit 2 a second time
  EXPECT_EQ(cluster.facts<UnitsDone>()[0].units, units(3, 4));
  EXPECT_EQ(cluster.job(id).state, JobState::kStopping);
  EXPECT_EQ(cluster.all<FinishResult>().size(), 1U);
  EXPECT_EQ(cluster.all<StopSeat>().size(), 1U);

  cluster.run_for(Duration(500));
  cluster.end(seat, Duration(450));
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
  EXPECT_TRUE(cluster.job(id).seats.empty());
  EXPECT_TRUE(cluster.worker(worker).seats.empty());
  EXPECT_EQ(cluster.worker(worker).use[0], DeviceUse{});
}

TEST(Lifecycle, EachOfTheSeatsThatAreGrantedAtOnceGetsItsShareOfTheFirstUnits) {
  TestCluster cluster;
  cluster.joined(a_worker().named("a"));
  cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(8).with_seats(1, 2).with_range_max(64));
  const auto handed = cluster.all<HandOutUnits>();
  ASSERT_EQ(handed.size(), 2U);
  EXPECT_EQ(handed[0].seat, cluster.seat(id, 0));
  EXPECT_EQ(handed[0].units, units(0, 2));
  EXPECT_EQ(handed[1].seat, cluster.seat(id, 1));
  EXPECT_EQ(handed[1].units, units(2, 3));
  EXPECT_EQ(cluster.soft().jobs.at(id).pool, units(3, 8));
}

TEST(Lifecycle, ASeatThatHasNotBegunIsNotStoppedForWantOfUnits) {
  TestCluster cluster;
  cluster.joined(a_worker().named("a"));
  cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(2).with_seats(1, 2));
  const SeatKey quick = cluster.seat(id, 0);
  const SeatKey slow = cluster.seat(id, 1);
  cluster.began(quick);
  cluster.land(quick, units(0, 1));
  // The idle one helps the one that has not begun, which keeps its seat.
  EXPECT_EQ(cluster.last<HandOutUnits>().seat, quick);
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(1, 2));
  EXPECT_TRUE(cluster.all<StopSeat>().empty());
  cluster.land(quick, units(1, 2));
  EXPECT_EQ(cluster.all<ReclaimUnits>().at(0).seat, slow);
}

TEST(Lifecycle, AnEmptyJobIsDoneWhenItIsAccepted) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job().with_units(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
  EXPECT_EQ(cluster.all<PrepareResult>().size(), 1U);
  EXPECT_EQ(cluster.all<FinishResult>().size(), 1U);
}

TEST(Lifecycle, AJobWaitsForAWorkerAndStartsWhenOneComes) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job());
  EXPECT_EQ(cluster.job(id).state, JobState::kQueued);
  const WorkerBuilder builder = a_worker();
  const WorkerId worker = cluster.join(builder);
  EXPECT_EQ(cluster.job(id).state, JobState::kQueued);
  cluster.hello(worker, builder);
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
}

}  // namespace
}  // namespace overwinter::core::test
