// Seats of gangs in the worker's core: prepared, launched, up, over.
#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/worker/core/outputs.h"
#include "worker/core/worker_core.h"

namespace overwinter::worker {
namespace {

using namespace std::chrono_literals;

const SeatKey kSeat{JobId(7), 1, 1};

class GangSeat : public ::testing::Test {
 protected:
  std::vector<Output> at(Duration when, const Input& input) {
    std::vector<Output> out;
    core_.step(Moment(when), input, out);
    return out;
  }
  void offered(Duration funded = 60s, Duration stop = 5s) {
    at(0s, StreamConnected{});
    at(0s, Welcome{});
    OfferSeat offer;
    offer.seat = kSeat;
    offer.funded_for = funded;
    offer.stop_time = stop;
    offer.gang = true;
    offer.from_step = 30;
    at(0s, offer);
  }
  void launched() {
    offered();
    at(1s, SeatReady{kSeat, 1});
    at(2s, LaunchGang{kSeat, {}, "token"});
    at(3s, GangSeatUp{kSeat});
  }
  [[nodiscard]] GangPhase phase() const { return core_.status(kSeat, Moment(9s))->phase; }
  static GangSeatExited exited(GangOutcome outcome) {
    GangSeatExited out;
    out.seat = kSeat;
    out.outcome = outcome;
    out.exit.exit_code = 3;
    out.message = "rank 0 exited with 3";
    return out;
  }

  WorkerCore core_{WorkerCoreConfig{Incarnation(5), Generation(0), 1, 4}};
};

TEST_F(GangSeat, IsPreparedThenLaunchedThenUp) {
  offered();
  EXPECT_EQ(phase(), GangPhase::kPreparing);
  EXPECT_EQ(reports<SeatPrepared>(at(1s, SeatReady{kSeat, 1})).size(), 1U);
  EXPECT_EQ(phase(), GangPhase::kPrepared);
  const auto launch = all<LaunchSeat>(at(2s, LaunchGang{kSeat, {}, "token"}));
  ASSERT_EQ(launch.size(), 1U);
  EXPECT_EQ(launch[0].order.token, "token");
  EXPECT_TRUE(all<LaunchSeat>(at(2s, LaunchGang{kSeat, {}, "again"})).empty());
  EXPECT_EQ(reports<SeatBegan>(at(3s, GangSeatUp{kSeat})).size(), 1U);
  EXPECT_EQ(phase(), GangPhase::kUp);
  at(4s, SeatProgressed{kSeat, 31, 7});
  EXPECT_EQ(core_.status(kSeat, Moment(4s))->step, 31U);
  EXPECT_EQ(core_.status(kSeat, Moment(4s))->activity, 7U);
}

TEST_F(GangSeat, SaysHowItEnded) {
  for (const auto& [outcome, end] : {std::pair{GangOutcome::kCompleted, SeatEnd::kCompleted},
                                     std::pair{GangOutcome::kFailed, SeatEnd::kFailed},
                                     std::pair{GangOutcome::kPeerLost, SeatEnd::kPeerLost},
                                     std::pair{GangOutcome::kStopped, SeatEnd::kFinished}}) {
    core_ = WorkerCore(WorkerCoreConfig{Incarnation(5), Generation(0), 1, 4});
    launched();
    EXPECT_EQ(all<EndSeat>(at(5s, exited(outcome))).size(), 1U);
    const auto ended = reports<SeatEnded>(at(6s, SeatClosed{kSeat, 9}));
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0].end, end);
    EXPECT_EQ(ended[0].used, 6s);
    EXPECT_EQ(ended[0].exit.exit_code, 3);
    EXPECT_EQ(ended[0].message.empty(), outcome == GangOutcome::kStopped);
  }
}

TEST_F(GangSeat, HoldsNothingOnceItsRankIsOver) {
  launched();
  at(4s, SeatMeasured{kSeat, 9, 7});
  EXPECT_EQ(core_.status(kSeat, Moment(4s))->memory_used_bytes, 7U);
  at(5s, exited(GangOutcome::kCompleted));
  EXPECT_EQ(core_.status(kSeat, Moment(5s))->memory_used_bytes, 0U);
  at(5s, SeatMeasured{kSeat, 9, 7});  // measured before it ended, said after
  EXPECT_EQ(core_.status(kSeat, Moment(5s))->memory_used_bytes, 0U);
  EXPECT_EQ(core_.status(kSeat, Moment(5s))->memory_peak_bytes, 9U);
}

TEST_F(GangSeat, AStopAsksForAGoodPlaceAndKillsOnlyWhenTimeIsUp) {
  launched();
  StopSeat stop;
  stop.seat = kSeat;
  const auto wind = all<WindDownSeat>(at(10s, stop));
  ASSERT_EQ(wind.size(), 1U);
  EXPECT_GT(wind[0].within, 4s);
  EXPECT_TRUE(all<KillSeat>(at(14s, TimerFired{})).empty());
  EXPECT_EQ(all<KillSeat>(at(15s, TimerFired{})).size(), 1U);
  // What it says of its death by our hand is no failure of the job.
  at(15s, exited(GangOutcome::kPeerLost));
  const auto ended = reports<SeatEnded>(at(15s, SeatClosed{kSeat, 0}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].end, SeatEnd::kFinished);
  EXPECT_TRUE(ended[0].message.empty());
}

TEST_F(GangSeat, WhatHadFailedBeforeItWasKilledIsTold) {
  launched();
  StopSeat stop;
  stop.seat = kSeat;
  stop.at_once = true;
  EXPECT_EQ(all<KillSeat>(at(10s, stop)).size(), 1U);
  at(10s, exited(GangOutcome::kFailed));
  const auto ended = reports<SeatEnded>(at(10s, SeatClosed{kSeat, 0}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].end, SeatEnd::kFailed);
  EXPECT_FALSE(ended[0].message.empty());
  EXPECT_EQ(ended[0].exit.exit_code, 3);
}

TEST_F(GangSeat, AStopAtOnceKills) {
  launched();
  StopSeat gently;
  gently.seat = kSeat;
  at(10s, gently);
  StopSeat stop = gently;
  stop.at_once = true;
  EXPECT_EQ(all<KillSeat>(at(11s, stop)).size(), 1U);
}

TEST_F(GangSeat, ItsPreparationIsGivenUpAtAnyTime) {
  offered(20s, 5s);
  EXPECT_EQ(all<KillSeat>(at(15s, TimerFired{})).size(), 1U);  // its funds end
  const auto ended = reports<SeatEnded>(at(16s, SeatRefused{kSeat, "given up"}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].end, SeatEnd::kFundsEnded);
  EXPECT_EQ(ended[0].used, 16s);
}

TEST_F(GangSeat, AnUnpreparedOneIsNotLaunched) {
  offered();
  EXPECT_TRUE(all<LaunchSeat>(at(1s, LaunchGang{kSeat, {}, "token"})).empty());
}

TEST_F(GangSeat, AFailedLaunchIsReportedBeforeItsEnd) {
  offered();
  at(1s, SeatReady{kSeat, 1});
  at(2s, LaunchGang{kSeat, {}, "token"});
  GangLaunchFailed failed;
  failed.seat = kSeat;
  failed.unreachable = WorkerId(3);
  failed.message = "port 7610 of b does not answer from a";
  const auto said = reports<LaunchFailedReport>(at(3s, failed));
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0].unreachable, WorkerId(3));
}

}  // namespace
}  // namespace overwinter::worker
