// How units are handed out, helped with, taken back and made done.
#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

// A job whose seats hold exactly what the test says: after a restart the workers tell.
struct Seats {
  TestCluster cluster;
  JobId job;
  std::vector<WorkerId> workers;

  explicit Seats(JobBuilder builder, std::uint32_t seats) {
    for (std::uint32_t i = 0; i < seats; ++i) {
      workers.push_back(cluster.joined(a_worker().named("w" + std::to_string(i))));
    }
    job = cluster.submit(builder.with_seats(seats, seats));
    cluster.restart();
  }
  [[nodiscard]] SeatKey seat(std::size_t i) const { return cluster.seat(job, i); }
  [[nodiscard]] const UnitRanges& out(std::size_t i) const {
    return cluster.soft().jobs.at(job).seats.at(seat(i).number).out;
  }
  // Its seat begins to count now.
  void returns(std::size_t i, UnitRanges held) {
    const SeatKey key = seat(i);
    const WorkerId at = cluster.state().find_seat(key)->worker;
    cluster.hello(at, a_worker().named("w"), 1, {{key, Duration(0), std::move(held), 0, false}});
  }
  void beat_all() {
    for (const WorkerId worker : workers) cluster.beat(worker);
  }
};

TEST(Units, ASeatHoldsTwoRangesThatShrinkWithWhatIsLeft) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(100).with_range_max(1'000));
  const SeatKey seat = cluster.seat(id);
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 50));  // with its offer: the half
  cluster.began(seat);
  EXPECT_TRUE(cluster.all<HandOutUnits>().empty());  // 50 are more than a range of the rest
  cluster.land(seat, units(0, 24));
  EXPECT_TRUE(cluster.all<HandOutUnits>().empty());
  cluster.land(seat, units(24, 25));  // 25 left with it: one range. It gets a second
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(50, 75));
  cluster.land(seat, units(25, 63));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(75, 87));
}

TEST(Units, ARangeIsAtLeastOneUnitWhateverThePlanSays) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(3).with_range_max(0));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 1));
  cluster.began(cluster.seat(id));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(1, 2));
}

TEST(Units, AnIdleSeatTakesHalfOfWhatAStragglerHolds) {
  Seats of(a_job().with_units(7).with_range_max(100), 2);
  of.returns(0, units(0, 7));
  of.returns(1, {});
  EXPECT_EQ(of.out(1), units(3, 7));  // from the back, the odd one too
  of.cluster.land(of.seat(1), units(3, 7));
  EXPECT_EQ(of.cluster.last<ReclaimUnits>().units, units(3, 7));  // the straggler need not
  EXPECT_EQ(of.out(1), units(1, 3));
  of.cluster.land(of.seat(1), units(1, 3));
  EXPECT_EQ(of.out(1), units(0, 1));
}

TEST(Units, AHelperTakesNoMoreAtATimeThanARangeHolds) {
  Seats of(a_job().with_units(7).with_range_max(2), 2);
  of.returns(0, units(0, 7));
  of.returns(1, {});
  EXPECT_EQ(of.out(1), units(5, 7));
  Seats least(a_job().with_units(7).with_range_max(0), 2);
  least.returns(0, units(0, 7));
  least.returns(1, {});
  EXPECT_EQ(least.out(1), units(6, 7));
}

TEST(Units, AUnitIsHeldByTwoAtMostAndWhoFindsNothingStops) {
  Seats of(a_job().with_units(4).with_range_max(100), 4);
  of.returns(0, units(0, 4));
  of.returns(1, {});
  of.returns(2, {});
  EXPECT_TRUE(of.out(1).empty());  // nothing is handed out before all have said what they hold
  of.returns(3, {});
  EXPECT_EQ(of.out(1), units(2, 4));
  EXPECT_EQ(of.out(2), units(1, 2));
  EXPECT_EQ(of.out(3), units(0, 1));
  EXPECT_TRUE(of.cluster.all<StopSeat>().empty());
  of.cluster.land(of.seat(1), units(2, 4));
  const auto stopped = of.cluster.all<StopSeat>();
  ASSERT_EQ(stopped.size(), 1U);
  EXPECT_EQ(stopped[0].seat, of.seat(1));
  EXPECT_EQ(stopped[0].cause, Cause::kDone);
}

TEST(Units, TheSeatThatNeedsLongestIsHelpedNotTheOneWithMost) {
  Seats of(a_job().with_units(20).with_range_max(100), 3);
  of.returns(0, units(0, 12));
  of.returns(1, units(12, 20));
  of.cluster.run_for(Duration(10'000));
  of.beat_all();
  of.cluster.land(of.seat(0), units(0, 8));    // 4 left, 8 in 10 s
  of.cluster.land(of.seat(1), units(12, 17));  // 3 left, 5 in 10 s
  of.returns(2, {});
  EXPECT_EQ(of.out(2), units(18, 20));
}

TEST(Units, HowLongASeatHasWorkedCountsToo) {
  Seats of(a_job().with_units(20).with_range_max(100), 3);
  of.returns(0, units(0, 10));
  of.cluster.run_for(Duration(9'000));
  of.returns(1, units(10, 20));
  of.cluster.run_for(Duration(1'000));
  of.cluster.land(of.seat(0), units(0, 6));    // 4 left, 6 in 10 s
  of.cluster.land(of.seat(1), units(10, 13));  // 7 left, 3 in 1 s
  of.returns(2, {});
  EXPECT_EQ(of.out(2), units(8, 10));
}

TEST(Units, ASeatThatHasLandedNothingYetIsHelpedToo) {
  Seats of(a_job().with_units(6).with_range_max(100), 3);
  of.returns(0, units(0, 2));
  of.returns(1, units(2, 6));
  of.returns(2, {});
  EXPECT_EQ(of.out(2), units(4, 6));  // all began in this instant: the most is the longest
  Seats equal(a_job().with_units(4).with_range_max(100), 3);
  equal.returns(0, units(0, 2));
  equal.returns(1, units(2, 4));
  equal.returns(2, {});
  EXPECT_EQ(equal.out(2), units(1, 2));  // of equals the first
}

TEST(Units, EvenAVeryQuickSeatIsHelped) {
  Seats of(a_job().with_units(9).with_range_max(100), 2);
  of.returns(0, units(0, 9));
  of.cluster.run_for(Duration(1));
  of.cluster.land(of.seat(0), units(0, 8));  // 8 in a millisecond
  of.returns(1, {});
  EXPECT_EQ(of.out(1), units(8, 9));
}

TEST(Units, WhatAReleasedSeatSharedStaysWithTheOther) {
  Seats of(a_job().with_units(4).with_range_max(100), 2);
  of.returns(0, units(0, 4));
  of.returns(1, {});
  ASSERT_EQ(of.out(1), units(2, 4));
  of.cluster.end(of.seat(0), Duration(0));
  // The other has 2 to 4 alone; 0 to 2 are free and go to whoever is there.
  UnitRanges known = of.cluster.soft().jobs.at(of.job).pool;
  EXPECT_TRUE(known.intersection(units(2, 4)).empty());
  for (const auto& [number, soft] : of.cluster.soft().jobs.at(of.job).seats) known.add(soft.out);
  EXPECT_EQ(known, units(0, 4));
}

TEST(Units, AHelpersUnitsAreNotTakenFromTheStragglerWhenTheHelperEnds) {
  Seats of(a_job().with_units(4).with_range_max(100), 2);
  of.returns(0, units(0, 4));
  of.returns(1, {});
  ASSERT_EQ(of.cluster.soft().jobs.at(of.job).doubled, units(2, 4));
  of.cluster.act(of.workers[1], WorkerAction::kDrain);
  of.cluster.end(of.seat(1), Duration(0));
  EXPECT_EQ(of.out(0), units(0, 4));
  EXPECT_TRUE(of.cluster.soft().jobs.at(of.job).pool.empty());
  EXPECT_TRUE(of.cluster.soft().jobs.at(of.job).doubled.empty());  // another may help
}

TEST(Units, OnlyWhoSharesAUnitIsToldThatItNeedNotFinishIt) {
  Seats of(a_job().with_units(6).with_range_max(100), 3);
  of.returns(0, units(0, 4));
  of.returns(1, units(4, 6));
  of.returns(2, {});
  ASSERT_EQ(of.out(2), units(2, 4));
  of.cluster.land(of.seat(2), units(2, 4));
  ASSERT_EQ(of.cluster.all<ReclaimUnits>().size(), 1U);
  EXPECT_EQ(of.cluster.all<ReclaimUnits>()[0].seat, of.seat(0));
}

TEST(Units, AJobThatItsCapStopsWorksOnWithWhatIsPaid) {
  TestCluster cluster;
  cluster.set_prices(a_book(3'600'000));  // 1,000 micro-units a second
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(100).with_range_max(1).with_cap(10'000));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  for (int ms = 100; cluster.job(id).state != JobState::kStopping; ms += 100) {
    ASSERT_LT(ms, 10'000);
    cluster.run_for(Duration(100));
    cluster.beat(worker, {{seat, Duration(ms), {}, 0, false}});
  }
  ASSERT_EQ(cluster.job(id).cause, Cause::kBudget);
  cluster.land(seat, units(0, 2));
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(2, 4));
  // And when these were the last, it is done: the cap stopped nothing.
  cluster.land(seat, units(2, 100));
  EXPECT_EQ(cluster.job(id).cause, Cause::kDone);
  EXPECT_EQ(cluster.all<FinishResult>().size(), 1U);
  cluster.end(seat, Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
}

TEST(Units, AJobWhoseLastUnitLandsWhileItPausesIsDoneButACancelledOneIsNot) {
  for (const JobAction action : {JobAction::kPause, JobAction::kCancel}) {
    TestCluster cluster;
    cluster.joined(a_worker());
    const JobId id = cluster.submit(a_job());
    const SeatKey seat = cluster.seat(id);
    cluster.began(seat);
    cluster.act(id, action);
    cluster.land(seat, units(0, 1));
    cluster.land(seat, units(0, 1));  // told twice: finished once
    EXPECT_TRUE(cluster.out.facts.empty());
    cluster.end(seat, Duration(0));
    const bool paused = action == JobAction::kPause;
    EXPECT_EQ(cluster.job(id).state, paused ? JobState::kSucceeded : JobState::kCancelled);
    EXPECT_EQ(cluster.job(id).done, units(0, 1));
  }
}

TEST(Units, OneThatLandsBeforeItsSeatSaysThatItBeganStartsTheJob) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(4));
  cluster.land(cluster.seat(id), units(0, 1));
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  EXPECT_EQ(cluster.facts<JobStateChanged>().at(0).actor, 0U);
}

TEST(Units, OnlyTheSeatThatIsHeldNowMakesUnitsDone) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(4));
  const SeatKey seat = cluster.seat(id);
  ASSERT_EQ(cluster.state().find_seat(seat)->worker, a);
  cluster.began(seat);
  const auto ignored = [&](SeatKey key, WorkerId worker, UnitRanges landed) {
    cluster.step(UnitsLanded{key, worker, std::move(landed)});
    return cluster.out.facts.empty();
  };
  EXPECT_TRUE(ignored(seat, b, units(0, 1))) << "another worker's word";
  EXPECT_TRUE(ignored({id, seat.attempt + 1, seat.number}, a, units(0, 1))) << "another attempt";
  EXPECT_TRUE(ignored({id, seat.attempt, seat.number + 1}, a, units(0, 1))) << "no such seat";
  EXPECT_TRUE(ignored({JobId(77), 1, 1}, a, units(0, 1))) << "no such job";
  EXPECT_TRUE(ignored(seat, a, units(4, 9))) << "beyond the job";
  cluster.step(UnitsLanded{seat, a, units(0, 9)});
  EXPECT_EQ(cluster.facts<UnitsDone>().at(0).units, units(0, 4));
  EXPECT_EQ(cluster.job(id).done, units(0, 4));
  cluster.end(seat, Duration(0));
  ASSERT_EQ(cluster.job(id).state, JobState::kSucceeded);
  EXPECT_TRUE(ignored(seat, a, units(0, 1))) << "a job that has ended";
}

TEST(Units, AResultLandsInTheStoreAndOnlyAJobWithoutOneByWordOfMouth) {
  for (const Landing landing : {Landing::kArtifact, Landing::kReport}) {
    TestCluster cluster;
    const WorkerId worker = cluster.joined(a_worker());
    const JobId id = cluster.submit(a_job().with_units(4).with_landing(landing));
    const SeatKey seat = cluster.seat(id);
    cluster.began(seat);
    cluster.land(seat, units(0, 1));
    EXPECT_EQ(cluster.job(id).done.count(), landing == Landing::kArtifact ? 1U : 0U);
    cluster.report(worker, UnitsReported{seat, units(1, 2)});
    EXPECT_EQ(cluster.job(id).done, landing == Landing::kArtifact ? units(0, 1) : units(1, 2));
    cluster.report(worker, UnitsReported{{id, seat.attempt, 9}, units(2, 3)});
    EXPECT_EQ(cluster.job(id).done.count(), 1U) << "of a seat that it does not hold";
  }
}

TEST(Units, AWrongUnitIsHandedOutAgainAtOnce) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(8).with_seats(2, 2).with_range_max(1));
  const SeatKey liar = cluster.seat(id, 0);
  const SeatKey other = cluster.seat(id, 1);
  cluster.began(liar);
  cluster.began(other);
  const UnitRanges held = cluster.soft().jobs.at(id).seats.at(liar.number).out;
  ASSERT_TRUE(held.contains(0));
  cluster.step(UnitRejected{liar, a, 0, "wrong"});
  EXPECT_FALSE(cluster.soft().jobs.at(id).seats.at(liar.number).out.contains(0));
  EXPECT_TRUE(cluster.soft().jobs.at(id).pool.contains(0));
  EXPECT_EQ(cluster.facts<WorkerStateChanged>().at(0).actor, 0U);  // nobody asked for it
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  EXPECT_EQ(cluster.state().find_seat(other)->worker, b);
  EXPECT_FALSE(cluster.state().find_seat(other)->stopping);
}

TEST(Units, ASeatThatHasNotBegunIsHandedNoSecondRangeWhateverHappensElsewhere) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(8).with_seats(2, 2).with_range_max(1));
  cluster.step(UnitRejected{cluster.seat(id, 0), a, 0, "wrong"});
  EXPECT_TRUE(cluster.all<HandOutUnits>().empty());
  EXPECT_EQ(cluster.soft().jobs.at(id).seats.at(cluster.seat(id, 1).number).out, units(1, 2));
}

TEST(Units, AWrongUnitOfAReleasedSeatDrainsItsWorkerAndTouchesNoJob) {
  TestCluster cluster;
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(8));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  const auto& rejected = cluster.soft().jobs.at(id).rejected;
  cluster.step(UnitRejected{seat, b, 0, "a's seat"});
  EXPECT_EQ(cluster.worker(b).state, WorkerState::kDraining);
  EXPECT_TRUE(rejected.empty());
  EXPECT_FALSE(cluster.state().find_seat(seat)->stopping);
  cluster.act(b, WorkerAction::kResume);
  cluster.step(UnitRejected{{id, seat.attempt, 9}, b, 0, "released"});
  EXPECT_EQ(cluster.worker(b).state, WorkerState::kDraining);
  EXPECT_TRUE(rejected.empty());
  cluster.act(b, WorkerAction::kRemove);
  ASSERT_EQ(cluster.worker(b).state, WorkerState::kRemoved);
  cluster.step(UnitRejected{seat, b, 0, "removed"});
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.step(UnitRejected{seat, WorkerId(77), 0, "unknown"});
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(cluster.worker(a).state, WorkerState::kReady);
}

TEST(Units, AThirdWrongResultFailsAJobThatHasNotBegunToRunButNotOneThatPauses) {
  for (const bool pauses : {false, true}) {
    TestCluster cluster;
    for (const char* name : {"a", "b", "c"}) cluster.joined(a_worker().named(name));
    const JobId id = cluster.submit(a_job().with_units(2));
    for (int wrong = 1; wrong <= 3; ++wrong) {
      const SeatKey seat = cluster.seat(id);
      if (pauses && wrong == 3) cluster.act(id, JobAction::kPause);
      cluster.step(
          UnitRejected{seat, cluster.state().find_seat(seat)->worker, 0, "wrong"});  // never began
      cluster.end(seat, Duration(0));
    }
    EXPECT_EQ(cluster.job(id).state, pauses ? JobState::kPaused : JobState::kFailed);
    EXPECT_EQ(cluster.job(id).state_actor, pauses ? 1U : 0U);
  }
}

}  // namespace
}  // namespace overwinter::core::test
