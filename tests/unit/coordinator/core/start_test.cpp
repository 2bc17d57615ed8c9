// What a new process does with what it finds: who is waited for, which deadlines and effects come
// back.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

using ledger::charge_for;

template <class E>
std::size_t count(const std::vector<Effect>& effects) {
  std::size_t found = 0;
  for (const Effect& effect : effects) found += std::holds_alternative<E>(effect) ? 1 : 0;
  return found;
}

TEST(Start, TheGraceIsThirtySecondsAndAMillisecondForEachWorkerThatMayReturn) {
  TestCluster cluster;
  std::vector<WorkerId> workers;
  for (const char* name : {"a", "b", "c"})
    workers.push_back(cluster.joined(a_worker().named(name)));
  cluster.act(workers[2], WorkerAction::kRemove);
  cluster.restart();
  EXPECT_EQ(cluster.soft().grace_until, cluster.now + Duration(30'002));
  const Time due = cluster.now + Duration(30'002);
  cluster.run_until(due - Duration(1));
  EXPECT_EQ(cluster.worker(workers[0]).state, WorkerState::kReady);
  cluster.run_until(due);
  EXPECT_EQ(cluster.worker(workers[0]).state, WorkerState::kLost);
  EXPECT_EQ(cluster.facts<WorkerStateChanged>().at(0).actor, 0U);
}

TEST(Start, OnlyTheFirstReturnOfAWorkerInTheGraceRenewsIt) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  cluster.joined(a_worker().named("b"));
  cluster.restart();
  cluster.run_for(Duration(20'000));
  cluster.hello(a, a_worker());
  const Time renewed = cluster.now + Duration(15'000);
  EXPECT_EQ(cluster.soft().grace_until, renewed);
  cluster.run_for(Duration(5'000));
  cluster.hello(a, a_worker());
  EXPECT_EQ(cluster.soft().grace_until, renewed);
  cluster.run_until(renewed);
  cluster.joined(a_worker().named("new"));  // the grace is over
  EXPECT_EQ(cluster.soft().grace_until, renewed);
}

TEST(Start, ABeatBeforeTheHelloIsNotAnswered) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job());
  cluster.restart();
  cluster.beat(worker, {{cluster.seat(id), Duration(0), {}, 0, false}});
  EXPECT_FALSE(cluster.soft().workers.at(worker).connected);
  cluster.hello(worker, a_worker(), 1, {{cluster.seat(id), Duration(0), {}, 0, false}});
  EXPECT_TRUE(cluster.soft().workers.at(worker).connected);
}

TEST(Start, AHelloIsToldWhichSeatsToKeepAndWhichToEnd) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(9));
  const SeatKey seat = cluster.seat(id);
  const SeatKey ghost{id, 1, 7};
  cluster.restart();
  cluster.hello(worker, a_worker(), 1,
                {{ghost, Duration(0), {}, 0, false}, {seat, Duration(0), {}, 0, false}});
  const Welcome welcome = cluster.last<Welcome>();
  ASSERT_EQ(welcome.keep.size(), 1U);
  EXPECT_EQ(welcome.keep[0].seat, seat);
  EXPECT_EQ(welcome.keep[0].funded_for, cluster.state().find_seat(seat)->funded_for);
  EXPECT_EQ(welcome.drop, std::vector<SeatKey>{ghost});
}

TEST(Start, ASeatWhoseSliceEndedMeanwhileIsRenewedWhenItsWorkerReturns) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(99).with_cap(1'000'000));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.run_for(Duration(25'000));
  cluster.restart();
  cluster.run_for(Duration(20'000));
  cluster.hello(worker, a_worker(), 1, {{seat, Duration(45'000), {}, 0, false}}, 1);
  cluster.run_for(Duration(0));
  EXPECT_EQ(cluster.state().find_seat(seat)->funded_for, Duration(121'000));
}

TEST(Start, AJobThatPausesOrIsCancelledHasNoResultToFinishOrToPrepare) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const JobId paused = cluster.submit(a_job().with_units(9));
  cluster.began(cluster.seat(paused));
  cluster.act(paused, JobAction::kPause);
  const SeatKey old = cluster.seat(paused);
  cluster.restart();
  EXPECT_EQ(count<FinishResult>(cluster.effects), 0U);
  EXPECT_EQ(count<PrepareResult>(cluster.effects), 1U);
  cluster.hello(a, a_worker(), 1, {{old, Duration(0), {}, 0, false}}, 1);
  cluster.act(paused, JobAction::kCancel);
  cluster.end(old, Duration(0));
  ASSERT_EQ(cluster.job(paused).state, JobState::kCancelled);
  cluster.restart();
  EXPECT_EQ(count<PrepareResult>(cluster.effects), 0U);
  EXPECT_EQ(count<DropResult>(cluster.effects), 1U);
}

TEST(Start, ATimeLimitGoesOnOverARestartAndAJobWithoutOneRunsOn) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId limited =
      cluster.submit(a_job().with_threads(2).with_units(9).with_time_limit(Duration(60'000)));
  const JobId free = cluster.submit(a_job().with_threads(2).with_units(9));
  cluster.began(cluster.seat(limited));
  cluster.began(cluster.seat(free));
  cluster.run_for(Duration(10'000));
  cluster.restart();
  cluster.hello(worker, a_worker(), 1,
                {{cluster.seat(limited), Duration(10'000), {}, 0, false},
                 {cluster.seat(free), Duration(10'000), {}, 0, false}},
                2);
  for (int s = 0; s < 49; ++s) {
    cluster.run_for(Duration(1'000));
    cluster.beat(worker);
  }
  EXPECT_EQ(cluster.job(limited).state, JobState::kRunning);
  cluster.run_for(Duration(1'000));
  EXPECT_EQ(cluster.job(limited).cause, Cause::kTimeLimit);
  EXPECT_EQ(cluster.job(free).state, JobState::kRunning);
}

TEST(Start, AnEndedJobIsForgottenAfterAnHourAndItsRequestIdIsFreeAgain) {
  for (const bool restarted : {false, true}) {
    TestCluster cluster;
    const JobId id = cluster.submit(a_job().with_units(0).with_request_id("r"));
    const Time ended = cluster.now;
    cluster.run_for(Duration(60'000));
    if (restarted) cluster.restart();
    cluster.run_until(ended + std::chrono::hours(1) - Duration(1));
    EXPECT_NE(cluster.state().find_job(id), nullptr);
    cluster.run_until(ended + std::chrono::hours(1));
    EXPECT_EQ(cluster.state().find_job(id), nullptr);
    EXPECT_TRUE(cluster.state().jobs_by_name.empty());
    EXPECT_NE(cluster.submit(a_job().with_request_id("r")), id);
  }
}

TEST(Start, AClockThatWentBackDoesNotTakeTheClusterBack) {
  TestCluster cluster;
  cluster.submit(a_job());
  Scheduler next(SchedulerConfig{}, cluster.state());
  const Time earlier = cluster.now - std::chrono::hours(1);
  Outcome out;
  next.step(earlier, CoordinatorStarted{}, out);
  next.step(earlier, a_job().build(), out);
  EXPECT_EQ(next.state().jobs.at(JobId(2)).created_at, cluster.now);
}

// The worker ended the seat, and its report of that never comes.
TEST(Start, ASeatThatItsWorkerNoMoreHasIsBilledToItsLastFactIfItEverBegan) {
  for (const bool began : {false, true}) {
    TestCluster cluster;
    cluster.set_prices(a_book(kHour));
    const WorkerId worker = cluster.joined(a_worker());
    const JobId id = cluster.submit(a_job().with_units(9));
    const SeatKey seat = cluster.seat(id);
    if (began) cluster.began(seat);
    cluster.run_for(Duration(5'000));
    if (began) cluster.land(seat, units(0, 1));
    cluster.run_for(Duration(3'000));
    cluster.restart();
    cluster.hello(worker, a_worker(), 1, {}, began ? 2 : 0);
    EXPECT_EQ(cluster.last<Welcome>().start.size(), began ? 0U : 1U);
    cluster.step(WorkerDisconnected{worker, Incarnation(1)});
    cluster.run_for(Duration(60'000));
    ASSERT_EQ(cluster.worker(worker).state, WorkerState::kLost);
    EXPECT_EQ(cluster.job(id).charged,
              charge_for(Money{kHour}, Duration(began ? 5'000 : 0), 1'000'000));
  }
}

TEST(Start, ASeatThatWasToldToStopBeforeItsWorkerHeardOfItEndsWithNothingUsed) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(9));
  cluster.act(id, JobAction::kPause);
  cluster.run_for(Duration(1'000));
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  cluster.hello(worker, a_worker());
  EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
  EXPECT_EQ(cluster.job(id).charged, ledger::Charge{});
  EXPECT_EQ(cluster.job(id).memory_peak_bytes, 0U);
}

TEST(Start, ALostOfferWaitsForAllOldReportsNotForTheFirst) {
  TestCluster cluster;
  const WorkerBuilder two = a_worker().with_device(4 * kGiB, 4).with_device(kGiB, 1);
  const WorkerId worker = cluster.joined(two);
  const SeatKey old = cluster.seat(cluster.submit(a_job().with_threads(4).with_units(9)));
  cluster.began(old);
  const SeatKey fresh = cluster.seat(cluster.submit(a_job().with_threads(1)));
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  cluster.hello(worker, two, 1, {}, 3);
  cluster.report(worker, SeatBegan{old});
  EXPECT_TRUE(cluster.all<OfferSeat>().empty());
  cluster.end(old, Duration(0));
  ASSERT_FALSE(cluster.all<OfferSeat>().empty());
  EXPECT_EQ(cluster.all<OfferSeat>()[0].seat, fresh);
}

TEST(Start, NobodyIsLateWhenItWasTheLoopThatStoodStill) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(9));
  cluster.restart();
  cluster.run_for(Duration(5'000));
  cluster.step(LoopStalled{Duration(20'000)});
  EXPECT_EQ(cluster.soft().grace_until, cluster.now + Duration(30'001 - 5'000 + 20'000));
  const SeatKey seat = cluster.seat(id);
  cluster.hello(worker, a_worker(), 1, {{seat, Duration(0), {}, 0, false}});
  cluster.run_for(Duration(60'000));
  ASSERT_EQ(cluster.worker(worker).state, WorkerState::kLost);
  cluster.hello(worker, a_worker());
  // And when the grace is over: from now on.
  const Time before = cluster.now;
  cluster.step(LoopStalled{Duration(20'000)});
  EXPECT_EQ(cluster.soft().grace_until, before + Duration(20'000));
  cluster.run_for(Duration(34'999));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kReady);
  cluster.run_for(Duration(1));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kLost);
}

}  // namespace
}  // namespace overwinter::core::test
