// Workers that are drained, removed, lost, or wrong.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

TEST(Workers, OneThatIsRemovedAndThenLostStaysRemoved) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_stop_time(Duration(60'000)));
  cluster.began(cluster.seat(id));
  cluster.act(worker, WorkerAction::kRemove);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kDraining);  // its seat is still stopping
  cluster.run_for(Duration(40'000));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kRemoved);
  EXPECT_TRUE(cluster.worker(worker).seats.empty());
  EXPECT_EQ(cluster.job(id).state, JobState::kQueued);
  EXPECT_FALSE(cluster.soft().workers.contains(worker));
}

TEST(Workers, OneThatIsRemovedWhileItsDaemonStartsAnewIsRefused) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job());
  cluster.began(cluster.seat(id));
  cluster.act(worker, WorkerAction::kRemove);
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  cluster.hello(worker, a_worker(), 2);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kRemoved);
  ASSERT_EQ(cluster.all<RefuseWorker>().size(), 1U);
  EXPECT_EQ(cluster.all<RefuseWorker>()[0].status.code, Code::kPermissionDenied);
  EXPECT_TRUE(cluster.all<Welcome>().empty());
  EXPECT_FALSE(cluster.soft().workers.contains(worker));
}

TEST(Workers, OneThatIsDrainedBeforeItsFirstHelloIsCutAtChangesOfPriceToo) {
  TestCluster cluster;
  ledger::PriceBook book = a_book(kHour);
  const Time change = cluster.now + Duration(5'000);
  book.entries.push_back({change, "cpu", "any", false, Money{kHour / 4}, {}});
  cluster.set_prices(book);
  const WorkerId worker = cluster.join(a_worker());
  cluster.act(worker, WorkerAction::kDrain);
  cluster.hello(worker, a_worker());
  cluster.run_for(Duration(10'000));
  EXPECT_EQ(cluster.worker(worker).slice_from, change);
  cluster.act(worker, WorkerAction::kResume);
  const JobId id = cluster.submit(a_job());
  EXPECT_EQ(cluster.state().find_seat(cluster.seat(id))->device_price_per_hour, Money{kHour / 4});
}

TEST(Workers, OneThatShutsDownGetsNoSeatUntilItsNextHello) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  cluster.began(cluster.seat(id));
  cluster.end(cluster.seat(id), Duration(0), SeatEnd::kLeaving, "the worker shuts down");
  EXPECT_TRUE(cluster.worker(worker).seats.empty());
  EXPECT_EQ(cluster.job(id).failures, 0U);
  EXPECT_FALSE(cluster.job(id).terminal());
  cluster.run_for(Duration(2'000));
  EXPECT_TRUE(cluster.worker(worker).seats.empty());
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  cluster.hello(worker, a_worker(), 2);
  EXPECT_EQ(cluster.worker(worker).seats.size(), 1U);
}

TEST(Workers, DrainTellsEachSeatOnceAndResumeTakesJobsAgain) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.act(worker, WorkerAction::kDrain);
  const auto changes = cluster.facts<WorkerStateChanged>();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].state, WorkerState::kDraining);
  EXPECT_EQ(changes[0].actor, 1U);
  EXPECT_FALSE(changes[0].removing);
  ASSERT_EQ(cluster.facts<SeatStopping>().size(), 1U);
  EXPECT_EQ(cluster.facts<SeatStopping>()[0].cause, Cause::kDrain);
  EXPECT_EQ(cluster.all<StopSeat>().size(), 1U);
  cluster.act(worker, WorkerAction::kDrain);  // again: no fact, the order is repeated
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.end(seat, Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kQueued);
  EXPECT_TRUE(cluster.all<OfferSeat>().empty());
  cluster.act(worker, WorkerAction::kResume);
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kReady);
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
}

TEST(Workers, ARejectedUnitDrainsItsWorkerAndIsRedoneElsewhere) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(1).with_seats(1, 1));
  const SeatKey first = cluster.seat(id);
  ASSERT_EQ(cluster.state().find_seat(first)->worker, a);
  cluster.began(first);
  cluster.step(UnitRejected{first, a, 0, "row 3 is wrong"});
  EXPECT_EQ(cluster.worker(a).state, WorkerState::kDraining);
  EXPECT_NE(cluster.worker(a).reason.find("row 3 is wrong"), std::string::npos);
  EXPECT_EQ(cluster.all<StopSeat>().size(), 1U);
  EXPECT_TRUE(cluster.facts<UnitsDone>().empty());
  cluster.end(first, Duration(0));
  const SeatKey second = cluster.seat(id);
  EXPECT_EQ(cluster.state().find_seat(second)->worker, b);
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 1));
}

TEST(Workers, AUnitThatIsWrongOnThreeWorkersFailsItsJob) {
  TestCluster cluster;
  for (const char* name : {"a", "b", "c", "d"}) cluster.joined(a_worker().named(name));
  const JobId id = cluster.submit(a_job().with_units(2).with_seats(1, 1));
  for (int wrong = 1; wrong <= 3; ++wrong) {
    const SeatKey seat = cluster.seat(id);
    const WorkerId liar = cluster.state().find_seat(seat)->worker;
    cluster.began(seat);
    cluster.step(UnitRejected{seat, liar, 0, "wrong"});
    EXPECT_EQ(cluster.worker(liar).state, WorkerState::kDraining);
    EXPECT_EQ(cluster.job(id).state, wrong < 3 ? JobState::kRunning : JobState::kStopping);
    cluster.end(seat, Duration(0));
  }
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("unit 0 was wrong on 3 workers"), std::string::npos);
}

}  // namespace
}  // namespace overwinter::core::test
