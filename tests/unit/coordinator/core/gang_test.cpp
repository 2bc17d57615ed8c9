#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/gang_room.h"

namespace overwinter::core::test {
namespace {

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
