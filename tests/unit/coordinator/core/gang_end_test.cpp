#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/gang_room.h"

namespace overwinter::core::test {
namespace {

using GangEnd = Gang;

TEST_F(GangEnd, ALostMemberStopsTheOthersAtOnceAndTheNextAttemptGoesOnFromTheCheckpoint) {
  live_for(Duration(31'000));  // beyond the time of grace after the start
  const JobId id = running(a_job().as_gang(2, 2).with_cap(10'000'000));
  live_for(Duration(10'000), 40);
  cluster.step(CheckpointStored{id, 1, 30});
  EXPECT_EQ(cluster.job(id).checkpoint_step, 30U);
  live_for(Duration(5000), 50);
  const SeatKey of_b = cluster.seat(id, 1);
  cluster.step(WorkerDisconnected{b, Incarnation(1)});
  for (int i = 0; i < 4; ++i) {
    cluster.run_for(Duration(1000));
    cluster.beat(a);
  }
  EXPECT_EQ(cluster.worker(b).state, WorkerState::kLost);
  EXPECT_EQ(cluster.state().find_seat(of_b), nullptr);
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
  EXPECT_TRUE(cluster.job(id).broken);
  bool at_once = false;
  for (const Effect& effect : cluster.effects) {
    const auto* stop = std::get_if<StopSeat>(&effect);
    at_once = at_once || (stop != nullptr && stop->worker == a && stop->at_once);
  }
  EXPECT_TRUE(at_once);
  // The other's last word ends the attempt; alone it cannot go on.
  end_all(id, SeatEnd::kFinished);
  EXPECT_EQ(cluster.job(id).state, JobState::kQueued);
  EXPECT_EQ(cluster.job(id).cause, Cause::kWorkerLost);
  EXPECT_NE(cluster.job(id).reason.find("from step 30"), std::string::npos)
      << cluster.job(id).reason;
  EXPECT_EQ(cluster.job(id).failures, 0U);
  ASSERT_EQ(cluster.job(id).ended_attempts.size(), 1U);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].worker, b);
  cluster.hello(b, a_worker().named("b").on_network(kNet), 2);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  EXPECT_EQ(cluster.last<OfferSeat>().from_step, 30U);
}

TEST_F(GangEnd, TheNextAttemptWaitsForTheLastSeatOfTheOneBefore) {
  const JobId id = running(a_job().as_gang(1, 2));
  live_for(Duration(2000), 5);
  fail(cluster.seat(id, 0));
  EXPECT_EQ(cluster.job(id).attempt, 1U);
  ASSERT_EQ(cluster.job(id).seats.size(), 1U);
  EXPECT_TRUE(cluster.job(id).seats.begin()->second.stopping);
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  EXPECT_EQ(cluster.job(id).seats.size(), 2U);
  EXPECT_EQ(cluster.job(id).failures, 1U);
}

TEST_F(GangEnd, ThePeersEndBeforeTheCulpritsWordAndTheCulpritIsNamedAllTheSame) {
  const JobId id = running(a_job().as_gang(2, 2));
  live_for(Duration(2000), 5);
  const SeatKey culprit = cluster.seat(id, 1);
  cluster.end(cluster.seat(id, 0), Duration(2000), SeatEnd::kPeerLost);
  EXPECT_TRUE(cluster.job(id).broken);
  fail(culprit, "rank 1 was killed by signal 11");
  ASSERT_EQ(cluster.job(id).ended_attempts.size(), 1U);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].worker, b);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].cause, Cause::kFailure);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].exit.exit_code, 1);
  EXPECT_EQ(cluster.job(id).failures, 1U);
}

TEST_F(GangEnd, AFailureWithoutAStepOrACheckpointIsFinalAtOnce) {
  const JobId id = running(a_job().as_gang(2, 2).with_retries(5));
  fail(cluster.seat(id, 0), "rank 0 exited with 1");
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("rank 0 exited with 1"), std::string::npos);
}

TEST_F(GangEnd, WhoseRankFailedIsKnownWhoeverTellsOfIt) {
  const JobId id = running(a_job().as_gang(2, 2));
  live_for(Duration(2000), 5);
  const SeatKey first = cluster.seat(id, 0);
  const WorkerId second = cluster.state().find_seat(cluster.seat(id, 1))->worker;
  cluster.end(cluster.seat(id, 1), Duration(2000), SeatEnd::kPeerLost);
  fail(first, "rank 1 was killed by signal 11.", 1);
  ASSERT_EQ(cluster.job(id).ended_attempts.size(), 1U);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].worker, second);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].reason,
            "rank 1 was killed by signal 11 on " + cluster.state().find_worker(second)->name);
}

TEST_F(GangEnd, StepsThatOnlyItsLastWordsToldOfAreProgress) {
  const JobId id = running(a_job().as_gang(1, 1).with_retries(5));
  SeatEnded ended;
  ended.seat = cluster.seat(id);
  ended.end = SeatEnd::kFailed;
  ended.message = "the program ended with exit code 3";
  ended.exit.exit_code = 3;
  ended.exit.step = 15;
  cluster.report(cluster.state().find_seat(ended.seat)->worker, ended);
  EXPECT_EQ(cluster.job(id).attempt, 2U) << cluster.job(id).reason;
  ASSERT_EQ(cluster.job(id).ended_attempts.size(), 1U);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].step, 15U);
  // The next one makes no step.
  ended.seat = cluster.seat(id);
  ended.exit.step = 0;
  cluster.report(cluster.state().find_seat(ended.seat)->worker, ended);
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("made no step and no checkpoint"), std::string::npos);
}

TEST_F(GangEnd, WhatWouldEndSoAgainIsNotTriedAgain) {
  const JobId id = running(a_job().as_gang(2, 2).with_retries(5));
  live_for(Duration(2000), 5);
  cluster.step(CheckpointStored{id, 1, 5});
  fail(cluster.seat(id, 0), "step 7: the loss is nan", 0, true);
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("it would end so again"), std::string::npos);
}

TEST_F(GangEnd, OwnFailuresEndItAfterItsRetriesAndLostWorkersDoNotCount) {
  const JobId id = running(a_job().as_gang(2, 2).with_retries(1));
  live_for(Duration(1000), 5);
  fail(cluster.seat(id, 0));
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  up(id);
  live_for(Duration(1000), 9);
  cluster.end(cluster.seat(id, 0), Duration(900), SeatEnd::kPeerLost);
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).attempt, 3U);
  EXPECT_EQ(cluster.job(id).failures, 1U);
  up(id);
  live_for(Duration(1000), 9);
  fail(cluster.seat(id, 0));
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("failed 2 times"), std::string::npos);
}

TEST_F(GangEnd, WhatWasDoneSinceTheCheckpointIsWaste) {
  cluster.set_prices(a_book(3'600'000));  // a thousandth of a currency unit a second
  const JobId id = running(a_job().as_gang(2, 2).with_memory(4 * kGiB));
  live_for(Duration(10'000), 10);
  cluster.step(CheckpointStored{id, 1, 10});
  live_for(Duration(4000), 14);
  fail(cluster.seat(id, 0));
  end_all(id, SeatEnd::kPeerLost);
  // Two seats, four seconds each.
  EXPECT_EQ(ledger::rounded(cluster.job(id).wasted).micros, 8000);
}

TEST_F(GangEnd, WhatItsSeatsWaitedUntilAllWereUpIsCountedOnceAndIsNoWaste) {
  cluster.set_prices(a_book(3'600'000));  // a thousandth of a currency unit a second
  const JobId id = cluster.submit(a_job().as_gang(2, 2).with_memory(4 * kGiB));
  const auto micros = [](ledger::Charge charge) { return ledger::rounded(charge).micros; };
  live_for(Duration(3000), 0, GangPhase::kPreparing);
  EXPECT_FALSE(cluster.job(id).up_at);
  up(id);
  EXPECT_EQ(cluster.job(id).up_at, cluster.now);
  live_for(Duration(4000), 4);
  fail(cluster.seat(id, 0));
  end_all(id, SeatEnd::kPeerLost);
  // Two seats: three seconds each until both were up, then four of work that is done again.
  EXPECT_EQ(micros(cluster.job(id).gang_wait), 6000);
  EXPECT_EQ(micros(cluster.job(id).wasted), 8000);
  EXPECT_EQ(micros(cluster.job(id).charged), 14'000);
  // The next attempt waits anew; one that is never up only waits.
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  EXPECT_FALSE(cluster.job(id).up_at);
  live_for(Duration(2000), 4, GangPhase::kPreparing);
  fail(cluster.seat(id, 0), "setup failed");
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(micros(cluster.job(id).gang_wait), 10'000);
  EXPECT_EQ(micros(cluster.job(id).wasted), 8000);
  EXPECT_EQ(micros(cluster.job(id).charged), 18'000);
  ASSERT_EQ(cluster.job(id).ended_attempts.size(), 2U);
  EXPECT_EQ(micros(cluster.job(id).ended_attempts[0].gang_wait), 6000);
  EXPECT_EQ(micros(cluster.job(id).ended_attempts[1].gang_wait), 10'000);
}

TEST_F(GangEnd, OneThatRanToItsEndWaitedForItsGangToo) {
  cluster.set_prices(a_book(3'600'000));
  const JobId id = cluster.submit(a_job().as_gang(2, 2).with_memory(4 * kGiB));
  live_for(Duration(3000), 0, GangPhase::kPreparing);
  up(id);
  live_for(Duration(7000), 7);
  cluster.set_prices(a_book(36'000'000));  // a rise makes no more of the wait than was paid
  end_all(id, SeatEnd::kCompleted);
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
  EXPECT_EQ(cluster.job(id).wasted, ledger::Charge{});
  EXPECT_GE(ledger::rounded(cluster.job(id).gang_wait).micros, 6000);
  EXPECT_LE(cluster.job(id).gang_wait, cluster.job(id).charged);
}

TEST_F(GangEnd, OneThatStandsStillBreaksOffAndTheSecondTimeFails) {
  const JobId id = running(a_job().as_gang(2, 2).with_stall_timeout(Duration(60'000)));
  live_for(Duration(60'000), 5);  // the first of these is its last sign of work
  EXPECT_FALSE(cluster.job(id).broken);
  live_for(Duration(2000), 5);
  EXPECT_TRUE(cluster.job(id).broken);
  end_all(id, SeatEnd::kFinished);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].cause, Cause::kStalled);
  up(id);
  live_for(Duration(62'000), 5);
  end_all(id, SeatEnd::kFinished);
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("second time"), std::string::npos);
}

TEST_F(GangEnd, OneWhoseWorkersAreNotPreparedInThatTimeBreaksOffToo) {
  const JobId id = cluster.submit(a_job().as_gang(2, 2).with_stall_timeout(Duration(60'000)));
  live_for(Duration(30'000), 0, GangPhase::kPreparing);
  live_for(Duration(60'000), 1,
           GangPhase::kPreparing);  // the first of these: its setup printed a line
  EXPECT_FALSE(cluster.job(id).broken);
  live_for(Duration(2000), 1, GangPhase::kPreparing);
  EXPECT_TRUE(cluster.job(id).broken);
  end_all(id, SeatEnd::kFinished);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].reason,
            "no step, checkpoint or output for 1m 0s while its workers were prepared");
}

TEST_F(GangEnd, APauseStopsAllGentlyAndAResumeGoesOn) {
  const JobId id = running(a_job().as_gang(2, 2));
  live_for(Duration(3000), 3);
  cluster.act(id, JobAction::kPause);
  const auto stops = cluster.all<StopSeat>();
  ASSERT_EQ(stops.size(), 2U);
  EXPECT_FALSE(stops[0].at_once);
  cluster.step(CheckpointStored{id, 1, 4});
  end_all(id, SeatEnd::kFinished);
  EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
  EXPECT_EQ(cluster.job(id).wasted, ledger::Charge{});
  cluster.act(id, JobAction::kResume);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  EXPECT_EQ(cluster.last<OfferSeat>().from_step, 4U);
}

TEST_F(GangEnd, OneThatCameToItsEndWhileItWasPausedHasSucceeded) {
  const JobId id = running(a_job().as_gang(2, 2));
  cluster.run_for(Duration(1000));
  cluster.act(id, JobAction::kPause);
  end_all(id, SeatEnd::kCompleted);
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
}

TEST_F(GangEnd, ADrainedWorkerMovesTheWholeGangGently) {
  cluster.joined(a_worker().named("c").on_network(kNet));
  const JobId id = running(a_job().as_gang(2, 2));
  live_for(Duration(2000), 2);
  const WorkerId drained = cluster.state().find_seat(cluster.seat(id, 0))->worker;
  cluster.act(drained, WorkerAction::kDrain);
  for (const StopSeat& stop : cluster.all<StopSeat>()) EXPECT_FALSE(stop.at_once);
  end_all(id, SeatEnd::kFinished);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  EXPECT_EQ(cluster.job(id).failures, 0U);
  for (const auto& [number, seat] : cluster.job(id).seats) EXPECT_NE(seat.worker, drained);
}

}  // namespace
}  // namespace overwinter::core::test
