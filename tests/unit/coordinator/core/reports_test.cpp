// What workers report: once, in order, and only of seats that they hold.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

using ledger::charge_for;

TEST(Reports, EachIsProcessedOnceAndInOrder) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  const SeatKey seat = cluster.seat(id);
  const auto send = [&](std::uint64_t number, std::uint64_t incarnation = 1) {
    cluster.step(WorkerReported{worker, Incarnation(incarnation), number, SeatBegan{seat}});
  };
  send(2);  // the first is missing
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_TRUE(cluster.all<AcknowledgeReports>().empty());
  send(1, 2);  // another daemon's
  EXPECT_TRUE(cluster.out.facts.empty());
  send(1);
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  EXPECT_EQ(cluster.last<AcknowledgeReports>().number, 1U);
  send(1);  // again: told that it is known
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(cluster.last<AcknowledgeReports>().number, 1U);
  send(2);
  EXPECT_EQ(cluster.facts<ReportsProcessed>().at(0).number, 2U);
  // A new daemon counts from one.
  cluster.step(WorkerDisconnected{worker, Incarnation(1)});
  cluster.hello(worker, a_worker(), 2);
  EXPECT_EQ(cluster.worker(worker).reports_processed, 0U);
  cluster.step(WorkerReported{worker, Incarnation(2), 1, SeatBegan{cluster.seat(id)}});
  EXPECT_EQ(cluster.last<AcknowledgeReports>().number, 1U);
  cluster.step(WorkerReported{WorkerId(99), Incarnation(1), 1, SeatBegan{seat}});
  EXPECT_TRUE(cluster.out.facts.empty());
}

TEST(Reports, OfASeatThatIsNotHeldThereChangeNothing) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(5).with_landing(Landing::kReport));
  const SeatKey seat = cluster.seat(id);
  ASSERT_EQ(cluster.state().find_seat(seat)->worker, a);
  const SeatKey none{id, 1, 9};
  const auto only_counted = [&](WorkerId worker, Report report) {
    cluster.report(worker, std::move(report));
    return cluster.out.facts.size() == 1 && cluster.facts<ReportsProcessed>().size() == 1;
  };
  for (const auto& [worker, key] : {std::pair(a, none), std::pair(b, seat)}) {
    EXPECT_TRUE(only_counted(worker, SeatBegan{key}));
    EXPECT_TRUE(only_counted(worker, SeatEnded{key, SeatEnd::kFailed, Duration(1), 0, ""}));
    EXPECT_TRUE(only_counted(worker, UnitsReported{key, units(0, 1)}));
    EXPECT_TRUE(only_counted(worker, UnitsFailed{key, units(0, 1), "bad"}));
  }
}

TEST(Reports, ASeatsUseIsClippedToTheTimeThatPassedAndToItsFunding) {
  for (const std::int64_t said : {-5, 0, 2'500, 9'000}) {
    TestCluster cluster;
    cluster.set_prices(a_book(kHour));
    const WorkerId worker = cluster.joined(a_worker());
    const JobId id = cluster.submit(a_job().with_units(5));
    const SeatKey seat = cluster.seat(id);
    cluster.began(seat);
    cluster.run_for(Duration(3'000));
    cluster.act(worker, WorkerAction::kDrain);
    cluster.report(worker, SeatEnded{seat, SeatEnd::kFinished, Duration(said), 7, ""});
    const Duration used(std::clamp<std::int64_t>(said, 0, 3'000));
    EXPECT_EQ(cluster.job(id).charged, charge_for(Money{kHour}, used, 1'000'000));
    EXPECT_EQ(cluster.facts<SeatReleased>().at(0).used, used);
    EXPECT_EQ(cluster.job(id).memory_peak_bytes, 7U);
    EXPECT_EQ(cluster.job(id).failures, 0U);
  }
}

TEST(Reports, TheLargestPeakOfMemoryIsKept) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  EXPECT_EQ(cluster.soft().jobs.at(id).seats.begin()->second.memory_peak_bytes, 0U);
  for (const std::uint64_t peak : {5U, 9U, 7U}) {
    cluster.report(worker, SeatEnded{cluster.seat(id), SeatEnd::kFinished, {}, peak, ""});
  }
  EXPECT_EQ(cluster.job(id).memory_peak_bytes, 9U);
  // And what a lost worker last said, the most of it.
  const SeatKey seat = cluster.seat(id);
  cluster.beat(worker, {{seat, Duration(0), {}, 12, false}});
  cluster.beat(worker, {{seat, Duration(0), {}, 11, false}});
  EXPECT_EQ(cluster.soft().jobs.at(id).seats.at(seat.number).memory_peak_bytes, 12U);
  cluster.run_for(Duration(60'000));
  EXPECT_EQ(cluster.job(id).memory_peak_bytes, 12U);
}

TEST(Reports, WhatASeatHoldsIsWhatItsWorkerLastSaid) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  SeatStatus status;
  status.seat = cluster.seat(id);
  for (const std::uint64_t used : {12U, 40U, 0U, 7U}) {
    status.memory_used_bytes = used;
    cluster.beat(worker, {status});
    EXPECT_EQ(cluster.soft().jobs.at(id).seats.at(status.seat.number).memory_used_bytes, used);
  }
}

TEST(Reports, AWordBeyondTheFundingOrTheClockIsNotBelieved) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5).with_cap(10'000));
  const SeatKey seat = cluster.seat(id);
  const Duration funded = cluster.state().find_seat(seat)->funded_for;
  const auto used = [&](Duration said) {
    cluster.beat(worker, {{seat, said, {}, 0, false}});
    return cluster.soft().jobs.at(id).seats.at(seat.number).used;
  };
  EXPECT_EQ(used(Duration(-5)), Duration(0));
  cluster.now += Duration(1'000);
  EXPECT_EQ(used(Duration(-5)), Duration(0));
  EXPECT_EQ(used(Duration(4'000)), Duration(1'000));  // more than the time that passed
  EXPECT_EQ(used(Duration(900)), Duration(1'000));    // it never goes back
  cluster.now += Duration(60'000);
  EXPECT_EQ(used(Duration(50'000)), funded);
}

TEST(Reports, WorkThatFailsThreeTimesWithoutProgressFailsItsJob) {
  for (const SeatEnd how : {SeatEnd::kFailed, SeatEnd::kRefused}) {
    TestCluster cluster;
    cluster.joined(a_worker());
    const JobId id = cluster.submit(a_job().with_units(9));
    const auto fail = [&] {
      cluster.end(cluster.seat(id), Duration(0), how, "no memory");
      return cluster.job(id).failures;
    };
    EXPECT_EQ(fail(), 1U);
    EXPECT_EQ(fail(), 2U);
    cluster.land(cluster.seat(id), units(0, 1));
    EXPECT_EQ(cluster.job(id).failures, 0U);  // that was progress
    EXPECT_EQ(fail(), 1U);
    EXPECT_EQ(fail(), 2U);
    EXPECT_EQ(cluster.job(id).last_failure, "no memory");
    EXPECT_FALSE(cluster.job(id).terminal());
    EXPECT_EQ(fail(), 3U);
    EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
    EXPECT_EQ(cluster.job(id).reason, "it failed 3 times without progress, last on box: no memory");
    EXPECT_EQ(cluster.job(id).state_actor, 0U);
  }
}

TEST(Reports, ThreeFailuresWhileItRunsFailItToo) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(9));
  for (int i = 1; i <= 3; ++i) {
    cluster.began(cluster.seat(id));
    ASSERT_EQ(cluster.job(id).state, JobState::kRunning);
    cluster.end(cluster.seat(id), Duration(0), SeatEnd::kFailed, "bad");
  }
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
}

TEST(Reports, AResumedJobStartsWithoutItsOldFailures) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(9));
  cluster.end(cluster.seat(id), Duration(0), SeatEnd::kFailed, "bad");
  cluster.end(cluster.seat(id), Duration(0), SeatEnd::kFailed, "bad");
  ASSERT_EQ(cluster.job(id).failures, 2U);
  cluster.act(id, JobAction::kPause);
  cluster.end(cluster.seat(id), Duration(0), SeatEnd::kFailed, "bad");
  // It was being stopped: that it failed meanwhile does not fail the job.
  EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
  cluster.act(id, JobAction::kResume);
  EXPECT_EQ(cluster.job(id).failures, 0U);
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
}

TEST(Reports, UnitsThatFailedAreTriedElsewhereAndTheSeatStops) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(1));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.report(a, UnitsFailed{seat, units(0, 1), "bad"});
  EXPECT_TRUE(cluster.state().find_seat(seat)->stopping);
  EXPECT_EQ(cluster.state().find_seat(seat)->stop_cause, Cause::kFailure);
  EXPECT_EQ(cluster.job(id).failures, 1U);
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  EXPECT_EQ(cluster.soft().jobs.at(id).pool, units(0, 1));
  cluster.end(seat, Duration(0));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 1));
  EXPECT_NE(cluster.state().find_seat(cluster.seat(id))->worker, a);
}

}  // namespace
}  // namespace overwinter::core::test
