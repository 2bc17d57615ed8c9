#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

constexpr const char* kNet = "10.0.0.0/24";

struct Gang : testing::Test {
  TestCluster cluster;
  WorkerId a = cluster.joined(a_worker().named("a").on_network(kNet));
  WorkerId b = cluster.joined(a_worker().named("b").on_network(kNet));

  void prepared(JobId id) {
    for (std::size_t i = 0; i < cluster.job(id).seats.size(); ++i) {
      const SeatKey key = cluster.seat(id, i);
      cluster.report(cluster.state().find_seat(key)->worker, SeatPrepared{key});
    }
  }
  void up(JobId id) {
    prepared(id);
    for (std::size_t i = 0; i < cluster.job(id).seats.size(); ++i) {
      cluster.began(cluster.seat(id, i));
    }
  }
  JobId running(const JobBuilder& builder) {
    const JobId id = cluster.submit(builder);
    up(id);
    EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
    return id;
  }
  // Both workers speak once a second, so that nobody is lost.
  void live_for(Duration time, std::uint64_t step = 0, GangPhase phase = GangPhase::kUp) {
    for (Duration t{0}; t < time; t += Duration(1000)) {
      cluster.run_for(Duration(1000));
      for (const WorkerId worker : {a, b}) {
        std::vector<SeatStatus> seats;
        for (const SeatKey key : cluster.worker(worker).seats) {
          const Seat& seat = *cluster.state().find_seat(key);
          SeatStatus status;
          status.seat = key;
          status.used = cluster.now - seat.granted_at;
          status.phase = phase;
          status.step = status.activity = step;
          seats.push_back(status);
        }
        cluster.beat(worker, seats);
      }
    }
  }
  // `rank`: that the seat's worker names; of a gang of several hosts perhaps another's.
  void fail(SeatKey key, std::string message = "rank 0 exited with 1",
            std::optional<std::uint32_t> rank = std::nullopt, bool repeats = false) {
    SeatEnded ended;
    ended.seat = key;
    ended.end = SeatEnd::kFailed;
    ended.used = cluster.now - cluster.state().find_seat(key)->granted_at;
    ended.message = std::move(message);
    ended.exit.exit_code = 1;
    ended.exit.rank = rank;
    ended.exit.repeats = repeats;
    cluster.report(cluster.state().find_seat(key)->worker, ended);
  }
  void end_all(JobId id, SeatEnd how) {
    while (!cluster.job(id).seats.empty() && !cluster.job(id).terminal()) {
      const SeatKey key = cluster.seat(id);
      const AttemptNumber attempt = key.attempt;
      cluster.end(key, cluster.now - cluster.state().find_seat(key)->granted_at, how);
      if (cluster.job(id).attempt != attempt) return;
    }
  }
};

TEST_F(Gang, HoldsAllItsSeatsOrNone) {
  const JobId id = cluster.submit(a_job().as_gang(3, 3));
  EXPECT_EQ(cluster.job(id).state, JobState::kQueued);
  EXPECT_TRUE(cluster.job(id).seats.empty());
  cluster.joined(a_worker().named("c").on_network(kNet));
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
  EXPECT_EQ(cluster.job(id).seats.size(), 3U);
  EXPECT_EQ(cluster.job(id).attempt, 1U);
  const auto offers = cluster.all<OfferSeat>();
  ASSERT_EQ(offers.size(), 3U);
  EXPECT_TRUE(offers[0].gang);
  EXPECT_FALSE(offers[0].from_step);
}

TEST_F(Gang, NeverFormsWithoutACommonNetworkUnlessOnOneHost) {
  cluster.act(b, WorkerAction::kRemove);
  cluster.joined(a_worker().named("far").on_network("10.9.0.0/24"));
  const JobId id = cluster.submit(a_job().as_gang(2, 2));
  EXPECT_EQ(cluster.job(id).state, JobState::kQueued);
  cluster.joined(a_worker().named("a-2").on_host("a"));
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
}

TEST_F(Gang, IsLaunchedWhenAllArePreparedAndRunsWhenAllAreUp) {
  const JobId id = cluster.submit(a_job().as_gang(2, 2));
  const SeatKey first = cluster.seat(id, 0);
  const SeatKey second = cluster.seat(id, 1);
  cluster.report(a, SeatPrepared{first});
  EXPECT_TRUE(cluster.all<LaunchGang>().empty());
  cluster.report(b, SeatPrepared{second});
  const auto launch = cluster.last<LaunchGang>();
  ASSERT_EQ(launch.members.size(), 2U);
  EXPECT_EQ(launch.members[0].seat, first);
  EXPECT_EQ(launch.members[0].peer_address, "a:7610");
  EXPECT_EQ(launch.members[1].worker, b);
  EXPECT_EQ(launch.attempt, 1U);
  cluster.began(second);
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
  cluster.began(first);
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  cluster.run_for(Duration(1000));
  end_all(id, SeatEnd::kCompleted);
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
  EXPECT_EQ(cluster.job(id).wasted, ledger::Charge{});
}

TEST_F(Gang, ARankThatIsNotUpInTimeBreaksTheAttemptOffAndIsNamed) {
  const JobId id = cluster.submit(a_job().as_gang(2, 2));
  prepared(id);
  cluster.began(cluster.seat(id, 0));
  for (int s = 0; s < 31; ++s) {
    cluster.run_for(Duration(1000));
    for (const WorkerId worker : {a, b}) cluster.beat(worker);
    EXPECT_EQ(cluster.job(id).broken, s >= 29) << s;
  }
  end_all(id, SeatEnd::kFinished);
  ASSERT_EQ(cluster.job(id).ended_attempts.size(), 1U);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].cause, Cause::kLaunch);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].reason,
            "its ranks on b were not up 30.0s after the launch");
}

TEST_F(Gang, ALostMemberStopsTheOthersAtOnceAndTheNextAttemptGoesOnFromTheCheckpoint) {
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

TEST_F(Gang, TheNextAttemptWaitsForTheLastSeatOfTheOneBefore) {
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

TEST_F(Gang, ThePeersEndBeforeTheCulpritsWordAndTheCulpritIsNamedAllTheSame) {
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

TEST_F(Gang, AFailureWithoutAStepOrACheckpointIsFinalAtOnce) {
  const JobId id = running(a_job().as_gang(2, 2).with_retries(5));
  fail(cluster.seat(id, 0), "rank 0 exited with 1");
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("rank 0 exited with 1"), std::string::npos);
}

TEST_F(Gang, WhoseRankFailedIsKnownWhoeverTellsOfIt) {
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

TEST_F(Gang, WhatWouldEndSoAgainIsNotTriedAgain) {
  const JobId id = running(a_job().as_gang(2, 2).with_retries(5));
  live_for(Duration(2000), 5);
  cluster.step(CheckpointStored{id, 1, 5});
  fail(cluster.seat(id, 0), "step 7: the loss is nan", 0, true);
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_NE(cluster.job(id).reason.find("it would end so again"), std::string::npos);
}

TEST_F(Gang, OwnFailuresEndItAfterItsRetriesAndLostWorkersDoNotCount) {
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

TEST_F(Gang, WhatWasDoneSinceTheCheckpointIsWaste) {
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

TEST_F(Gang, OneThatStandsStillBreaksOffAndTheSecondTimeFails) {
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

TEST_F(Gang, OneWhoseWorkersAreNotPreparedInThatTimeBreaksOffToo) {
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

TEST_F(Gang, APauseStopsAllGentlyAndAResumeGoesOn) {
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

TEST_F(Gang, OneThatCameToItsEndWhileItWasPausedHasSucceeded) {
  const JobId id = running(a_job().as_gang(2, 2));
  cluster.run_for(Duration(1000));
  cluster.act(id, JobAction::kPause);
  end_all(id, SeatEnd::kCompleted);
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
}

TEST_F(Gang, ADrainedWorkerMovesTheWholeGangGently) {
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

TEST_F(Gang, OfAnotherProjectSharesNeitherWorkerNorNetworkUnlessAllShareIt) {
  cluster.step(ProjectCreateRequested{admin(), ReplyId(4), "other"});
  cluster.joined(a_worker().named("c").on_network(kNet, true));
  cluster.submit(a_job().as_gang(2, 2));
  const JobId theirs = cluster.submit(a_job().as_gang(1, 1).in("other"));
  EXPECT_EQ(cluster.job(theirs).state, JobState::kQueued);
  const WorkerId d = cluster.joined(a_worker().named("d").on_network("10.7.0.0/24"));
  EXPECT_EQ(cluster.job(theirs).state, JobState::kStarting);
  EXPECT_EQ(cluster.state().find_seat(cluster.seat(theirs))->worker, d);
}

TEST_F(Gang, ACapThatFundsOnlyAPartOfTheLeastIsRefusedWithTheLeastThatWould) {
  cluster.set_prices(a_book(3'600'000));
  cluster.step(a_job().as_gang(2, 2).with_memory(4 * kGiB).with_cap(3'999).build());
  EXPECT_EQ(cluster.last<Reply>().status.code, Code::kFailedPrecondition);
  EXPECT_NE(cluster.last<Reply>().status.message.find("2 seats"), std::string::npos);
  cluster.step(a_job().as_gang(2, 2).with_memory(4 * kGiB).with_cap(4'000).build());
  EXPECT_TRUE(cluster.last<Reply>().status.ok());
}

TEST_F(Gang, ACoordinatorRestartEndsNone) {
  const JobId id = running(a_job().as_gang(2, 2));
  live_for(Duration(2000), 2);
  const SeatKey first = cluster.seat(id, 0);
  const SeatKey second = cluster.seat(id, 1);
  cluster.restart();
  cluster.run_for(Duration(5000));
  const auto status = [&](SeatKey key) {
    SeatStatus out;
    out.seat = key;
    out.used = Duration(7000);
    out.phase = GangPhase::kUp;
    out.step = 6;
    return out;
  };
  cluster.hello(a, a_worker().named("a").on_network(kNet), 1, {status(first)}, 2);
  cluster.hello(b, a_worker().named("b").on_network(kNet), 1, {status(second)}, 2);
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  EXPECT_EQ(cluster.job(id).seats.size(), 2U);
  EXPECT_TRUE(cluster.all<LaunchGang>().empty());
}

TEST_F(Gang, PreparedSeatsAreLaunchedAfterARestart) {
  const JobId id = cluster.submit(a_job().as_gang(2, 2));
  const SeatKey first = cluster.seat(id, 0);
  const SeatKey second = cluster.seat(id, 1);
  cluster.restart();
  SeatStatus status;
  status.phase = GangPhase::kPrepared;
  status.seat = first;
  cluster.hello(a, a_worker().named("a").on_network(kNet), 1, {status});
  EXPECT_TRUE(cluster.all<LaunchGang>().empty());
  status.seat = second;
  cluster.hello(b, a_worker().named("b").on_network(kNet), 1, {status});
  EXPECT_EQ(cluster.all<LaunchGang>().size(), 1U);
}

TEST_F(Gang, UserCodeGoesOnlyToWorkersThatRunIt) {
  TestCluster other;
  other.joined(a_worker().named("x").on_network(kNet).without_exec("--no-exec"));
  const JobId id = other.submit(a_job().as_gang(1, 1).that_runs_user_code());
  EXPECT_EQ(other.job(id).state, JobState::kQueued);
  other.joined(a_worker().named("y").on_network(kNet));
  EXPECT_EQ(other.job(id).state, JobState::kStarting);
}

TEST_F(Gang, ALaunchThatFailsIsTriedAgainWithoutTheWorkerThatDidNotAnswer) {
  const WorkerId c = cluster.joined(a_worker().named("c").on_network(kNet));
  const JobId id = cluster.submit(a_job().as_gang(2, 2));
  prepared(id);
  const SeatKey first = cluster.seat(id, 0);
  const WorkerId unreachable = cluster.state().find_seat(cluster.seat(id, 1))->worker;
  LaunchFailed failed;
  failed.seat = first;
  failed.unreachable = unreachable;
  failed.message = "port 7610 of b does not answer from a";
  cluster.report(cluster.state().find_seat(first)->worker, failed);
  EXPECT_TRUE(cluster.job(id).broken);
  end_all(id, SeatEnd::kFinished);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  EXPECT_EQ(cluster.job(id).ended_attempts[0].reason, "port 7610 of b does not answer from a");
  for (const auto& [number, seat] : cluster.job(id).seats) EXPECT_NE(seat.worker, unreachable);
  EXPECT_NE(unreachable, c);
}

}  // namespace
}  // namespace overwinter::core::test
