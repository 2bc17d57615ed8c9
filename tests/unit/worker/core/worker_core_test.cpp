#include "worker/core/worker_core.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "tests/unit/worker/core/outputs.h"

namespace overwinter::worker {
namespace {

using namespace std::chrono_literals;

const SeatKey kSeat{JobId(7), 1, 1};

class WorkerCoreTest : public ::testing::Test {
 protected:
  std::vector<Output> at(Duration when, const Input& input) {
    std::vector<Output> out;
    now_ = Moment(when);
    core_.step(now_, input, out);
    return out;
  }
  std::vector<Output> connect(Duration when, Welcome welcome = {}) {
    at(when, StreamConnected{});
    return at(when, welcome);
  }
  static OfferSeat offer(Duration funded = 60s, Duration stop = 1s) {
    OfferSeat o;
    o.seat = kSeat;
    o.memory_bytes = 1;
    o.threads = 1;
    o.funded_for = funded;
    o.stop_time = stop;
    return o;
  }
  // A seat that runs with `units` handed out and `pipeline` of them started.
  void run(Duration when, UnitRange units, std::uint32_t pipeline = 2, Duration funded = 60s) {
    at(when, offer(funded));
    at(when, SeatReady{kSeat, pipeline});
    at(when, HandOutUnits{kSeat, UnitRanges(units)});
  }

  WorkerCore core_{WorkerCoreConfig{Incarnation(5), Generation(0), 1, 4}};
  Moment now_;
};

TEST_F(WorkerCoreTest, HelloIsTheFirstMessageOfAStreamAndReportsWaitForTheWelcome) {
  EXPECT_TRUE(at(0s, offer()).size() == 1);
  EXPECT_TRUE(reports<SeatBegan>(at(0s, SeatReady{kSeat, 1})).empty());  // not connected
  auto out = at(1s, StreamConnected{});
  ASSERT_EQ(out.size(), 1U);
  const auto hello = std::get<SendHello>(out[0]);
  EXPECT_EQ(hello.incarnation, Incarnation(5));
  EXPECT_EQ(hello.last_report, 1U);
  ASSERT_EQ(hello.seats.size(), 1U);
  EXPECT_EQ(hello.seats[0].used, 1s);
  out = at(1s, Welcome{});
  ASSERT_EQ(reports<SeatBegan>(out).size(), 1U);
  EXPECT_EQ(all<SendReport>(out)[0].number, 1U);
}

TEST_F(WorkerCoreTest, AWelcomeThatAcknowledgesSendsOnlyTheRest) {
  at(0s, offer());
  at(0s, SeatReady{kSeat, 4});
  at(0s, HandOutUnits{kSeat, UnitRanges({0, 4})});
  at(0s, UnitsCompleted{kSeat, UnitRanges({0, 2})});
  at(0s, UnitsCompleted{kSeat, UnitRanges({2, 3})});
  EXPECT_EQ(core_.reports_waiting(), 3U);
  Welcome welcome;
  welcome.acknowledged = 2;
  const auto out = connect(1s, welcome);
  const auto sent = all<SendReport>(out);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].number, 3U);
  at(1s, Acknowledge{3});
  EXPECT_EQ(core_.reports_waiting(), 0U);
}

TEST_F(WorkerCoreTest, UnacknowledgedReportsAreSentAgainOnTheNextStream) {
  connect(0s);
  run(0s, {0, 1});
  at(1s, StreamLost{});
  const auto out = connect(2s);
  EXPECT_EQ(reports<SeatBegan>(out).size(), 1U);
}

TEST_F(WorkerCoreTest, StartsNoMoreThanThePipelineAndGoesOnAsUnitsAreAnswered) {
  connect(0s);
  at(0s, offer());
  at(0s, SeatReady{kSeat, 2});
  auto started = all<StartUnits>(at(0s, HandOutUnits{kSeat, UnitRanges({10, 15})}));
  ASSERT_EQ(started.size(), 1U);
  EXPECT_EQ(started[0].units, UnitRanges({10, 12}));
  started = all<StartUnits>(at(1s, UnitsDelivered{kSeat, UnitRanges({10, 11})}));
  ASSERT_EQ(started.size(), 1U);
  EXPECT_EQ(started[0].units, UnitRanges({12, 13}));
  EXPECT_EQ(core_.status(kSeat, now_)->held, UnitRanges({11, 15}));
}

TEST_F(WorkerCoreTest, RepeatedOrdersChangeNothing) {
  connect(0s);
  run(0s, {0, 4});
  EXPECT_TRUE(at(1s, offer()).empty());
  EXPECT_TRUE(at(1s, HandOutUnits{kSeat, UnitRanges({0, 4})}).empty());
  EXPECT_TRUE(at(1s, SeatReady{kSeat, 2}).empty());
  EXPECT_EQ(core_.status(kSeat, now_)->held, UnitRanges({0, 4}));
}

TEST_F(WorkerCoreTest, FundsThatEndWindTheSeatDownInTimeAndReportExactUse) {
  connect(0s);
  run(0s, {0, 9}, 2, 10s);
  while (core_.next_wakeup() && *core_.next_wakeup() < Moment(9s)) {
    at(core_.next_wakeup()->time_since_epoch(), TimerFired{});
  }
  ASSERT_EQ(*core_.next_wakeup(), Moment(9s));
  auto out = at(9s, TimerFired{});
  auto wind = all<WindDownSeat>(out);
  ASSERT_EQ(wind.size(), 1U);
  EXPECT_EQ(wind[0].within, 750ms);
  // One unit is finished, the other is not: it is abandoned before the end.
  EXPECT_TRUE(all<StartUnits>(at(9200ms, UnitsDelivered{kSeat, UnitRanges({0, 1})})).empty());
  out = at(9750ms, TimerFired{});
  auto abandoned = all<AbandonUnits>(out);
  ASSERT_EQ(abandoned.size(), 1U);
  EXPECT_EQ(abandoned[0].units, UnitRanges({1, 2}));
  out = at(9800ms, UnitsAbandoned{kSeat, UnitRanges({1, 2})});
  ASSERT_EQ(all<EndSeat>(out).size(), 1U);
  out = at(9821ms, SeatClosed{kSeat, 77});
  const auto ended = reports<SeatEnded>(out);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].end, SeatEnd::kFundsEnded);
  EXPECT_EQ(ended[0].used, 9821ms);
  EXPECT_EQ(ended[0].memory_peak_bytes, 77U);
}

TEST_F(WorkerCoreTest, AHeartbeatSaysWhatASeatHoldsNowAndHeldAtMost) {
  Welcome welcome;
  welcome.heartbeat_every = 1s;
  connect(0s, welcome);
  run(0s, {0, 1});
  EXPECT_EQ(core_.status(kSeat, now_)->memory_used_bytes, 0U);
  at(0s, SeatMeasured{kSeat, 9, 9});
  at(0s, SeatMeasured{kSeat, 9, 4});
  const auto beats = all<SendHeartbeat>(at(1s, TimerFired{}));
  ASSERT_EQ(beats.size(), 1U);
  ASSERT_EQ(beats[0].seats.size(), 1U);
  EXPECT_EQ(beats[0].seats[0].memory_used_bytes, 4U);
  EXPECT_EQ(beats[0].seats[0].memory_peak_bytes, 9U);
}

TEST_F(WorkerCoreTest, UseNeverPassesTheFunding) {
  connect(0s);
  run(0s, {0, 1}, 1, 2s);
  at(1s, TimerFired{});
  at(5s, UnitsAbandoned{kSeat, UnitRanges({0, 1})});
  const auto ended = reports<SeatEnded>(at(6s, SeatClosed{kSeat, 0}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].used, 2s);
}

TEST_F(WorkerCoreTest, FundingGrowsAndIsNeverTakenBack) {
  connect(0s);
  run(0s, {0, 1}, 1, 2s);
  at(0s, FundSeat{kSeat, 10s, {}});
  at(0s, FundSeat{kSeat, 3s, {}});
  EXPECT_TRUE(all<WindDownSeat>(at(8900ms, TimerFired{})).empty());
  EXPECT_EQ(all<WindDownSeat>(at(9s, TimerFired{})).size(), 1U);
}

TEST_F(WorkerCoreTest, AnOfflineWorkerKeepsItsWorkWhileItIsFunded) {
  connect(0s);
  run(0s, {0, 5}, 1, 10s);
  at(1s, StreamLost{});
  const auto out = at(2s, UnitsDelivered{kSeat, UnitRanges({0, 1})});
  EXPECT_EQ(all<StartUnits>(out).size(), 1U);
  EXPECT_EQ(all<WindDownSeat>(at(9s, TimerFired{})).size(), 1U);
  at(9s, UnitsAbandoned{kSeat, UnitRanges({1, 2})});
  EXPECT_TRUE(all<SendReport>(at(9s, SeatClosed{kSeat, 0})).empty());
  const auto later = connect(100s);
  ASSERT_EQ(reports<SeatEnded>(later).size(), 1U);
  EXPECT_EQ(reports<SeatEnded>(later)[0].used, 9s);
}

TEST_F(WorkerCoreTest, StopFinishesWhatIsInFlightAndThenEnds) {
  connect(0s);
  run(0s, {0, 9});
  auto out = at(2s, StopSeat{kSeat, "enough"});
  EXPECT_EQ(all<WindDownSeat>(out).size(), 1U);
  EXPECT_TRUE(at(2s, StopSeat{kSeat, "enough"}).empty());
  EXPECT_TRUE(all<EndSeat>(at(2100ms, UnitsDelivered{kSeat, UnitRanges({1, 2})})).empty());
  EXPECT_EQ(all<EndSeat>(at(2200ms, UnitsDelivered{kSeat, UnitRanges({0, 1})})).size(), 1U);
  const auto ended = reports<SeatEnded>(at(2300ms, SeatClosed{kSeat, 0}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].end, SeatEnd::kFinished);
  EXPECT_EQ(ended[0].used, 2300ms);
}

TEST_F(WorkerCoreTest, AStopWhileTheSeatBeginsWaitsForItsAnswer) {
  connect(0s);
  at(0s, offer());
  EXPECT_TRUE(all<EndSeat>(at(100ms, StopSeat{kSeat, {}})).empty());
  EXPECT_EQ(all<EndSeat>(at(200ms, SeatReady{kSeat, 1})).size(), 1U);
}

TEST_F(WorkerCoreTest, ReclaimedUnitsAreGivenUpAndMayComeBack) {
  connect(0s);
  run(0s, {0, 6}, 2);
  auto out = at(1s, ReclaimUnits{kSeat, UnitRanges({1, 5})});
  ASSERT_EQ(all<AbandonUnits>(out).size(), 1U);
  EXPECT_EQ(all<AbandonUnits>(out)[0].units, UnitRanges({1, 2}));
  EXPECT_EQ(core_.status(kSeat, now_)->held.count(), 2U);  // 0 and 5
  // Handed out again while the executor has not answered: started only after its answer.
  EXPECT_TRUE(all<StartUnits>(at(1s, HandOutUnits{kSeat, UnitRanges({1, 2})})).empty());
  out = at(2s, UnitsAbandoned{kSeat, UnitRanges({1, 2})});
  ASSERT_EQ(all<StartUnits>(out).size(), 1U);
  EXPECT_EQ(all<StartUnits>(out)[0].units, UnitRanges({1, 2}));
}

TEST_F(WorkerCoreTest, ADroppedSeatEndsInSilence) {
  connect(0s);
  run(0s, {0, 3});
  at(1s, StreamLost{});
  Welcome welcome;
  welcome.drop = {kSeat};
  welcome.acknowledged = 1;
  auto out = connect(2s, welcome);
  EXPECT_EQ(all<AbandonUnits>(out).size(), 1U);
  EXPECT_EQ(all<EndSeat>(at(2s, UnitsAbandoned{kSeat, UnitRanges({0, 2})})).size(), 1U);
  EXPECT_TRUE(all<SendReport>(at(2s, SeatClosed{kSeat, 0})).empty());
  EXPECT_EQ(core_.seats(), 0U);
  // And a late copy of its offer does not raise it from the dead.
  EXPECT_TRUE(at(3s, offer()).empty());
}

// A coordinator that was restored twice from one backup may call a seat by a name that is known.
TEST_F(WorkerCoreTest, NamesOfAnotherGenerationAreNoNamesOfThisOne) {
  Welcome first;
  first.generation = Generation(1);
  connect(0s, first);
  run(0s, {0, 3});
  at(1s, StreamLost{});
  Welcome welcome;
  welcome.generation = Generation(2);
  welcome.drop = {kSeat};
  welcome.acknowledged = 1;
  connect(2s, welcome);
  // While the old one ends, the new one is refused and not taken for it.
  const auto refused = reports<SeatEnded>(at(2s, offer()));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].end, SeatEnd::kRefused);
  at(3s, UnitsAbandoned{kSeat, UnitRanges({0, 2})});
  at(3s, SeatClosed{kSeat, 0});
  ASSERT_EQ(core_.seats(), 0U);
  EXPECT_TRUE(at(3s, offer()).empty());  // it was ended in this generation
  at(4s, StreamLost{});
  welcome.generation = Generation(3);
  connect(5s, welcome);
  EXPECT_EQ(all<BeginSeat>(at(5s, offer())).size(), 1U);
}

TEST_F(WorkerCoreTest, ARefusedOrImpossibleSeatIsReportedOnce) {
  connect(0s);
  at(0s, offer());
  const auto refused =
      reports<SeatEnded>(at(10ms, SeatRefused{kSeat, "asked 5, held 0, allowed 4"}));
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].end, SeatEnd::kRefused);
  EXPECT_EQ(refused[0].used, 0ms);
  OfferSeat other = offer();
  other.seat.number = 2;
  other.device = 9;
  EXPECT_EQ(reports<SeatEnded>(at(20ms, other)).size(), 1U);
  EXPECT_TRUE(at(30ms, other).empty());
}

// Not a refusal: that would count as a failure of the job.
TEST_F(WorkerCoreTest, ASeatThatComesWhileItShutsDownIsGivenBack) {
  connect(0s);
  at(0s, ShutDown{5s});
  const auto ended = reports<SeatEnded>(at(10ms, offer()));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].end, SeatEnd::kLeaving);
  EXPECT_EQ(ended[0].used, 0ms);
  EXPECT_EQ(core_.seats(), 0U);
}

TEST_F(WorkerCoreTest, FailuresOfUnitsAndOfTheSeatAreReported) {
  connect(0s);
  run(0s, {0, 4}, 2);
  auto out = at(1s, UnitsFailed{kSeat, UnitRanges({0, 1}), "no such block"});
  ASSERT_EQ(reports<UnitsFailedReport>(out).size(), 1U);
  EXPECT_FALSE(core_.status(kSeat, now_)->held.contains(0));
  out = at(1s, SeatFailed{kSeat, "the disk is full"});
  EXPECT_EQ(all<AbandonUnits>(out).size(), 1U);
  at(1s, UnitsAbandoned{kSeat, UnitRanges({1, 3})});
  const auto ended = reports<SeatEnded>(at(1s, SeatClosed{kSeat, 0}));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].end, SeatEnd::kFailed);
  EXPECT_EQ(ended[0].message, "the disk is full");
}

TEST_F(WorkerCoreTest, HeartbeatsGoOutWhileWelcomed) {
  Welcome welcome;
  welcome.heartbeat_every = 500ms;
  connect(0s, welcome);
  run(0s, {0, 4}, 2);
  EXPECT_EQ(*core_.next_wakeup(), Moment(500ms));
  const auto beats = all<SendHeartbeat>(at(500ms, TimerFired{}));
  ASSERT_EQ(beats.size(), 1U);
  EXPECT_EQ(beats[0].seats[0].used, 500ms);
  EXPECT_TRUE(beats[0].seats[0].held.empty());
  EXPECT_TRUE(at(600ms, TimerFired{}).empty());
}

TEST_F(WorkerCoreTest, ShuttingDownHandsEverythingBackAndRefusesNewSeats) {
  connect(0s);
  run(0s, {0, 4}, 1);
  EXPECT_EQ(all<WindDownSeat>(at(1s, ShutDown{4s})).size(), 1U);
  OfferSeat other = offer();
  other.seat.number = 2;
  EXPECT_EQ(reports<SeatEnded>(at(1s, other)).size(), 1U);
  at(2s, UnitsDelivered{kSeat, UnitRanges({0, 1})});
  EXPECT_TRUE(all<ShutDownComplete>(at(2s, SeatClosed{kSeat, 0})).empty());
  EXPECT_EQ(all<ShutDownComplete>(at(2s, Acknowledge{99})).size(), 1U);
  EXPECT_TRUE(at(9s, TimerFired{}).size() <= 1);  // said once; a heartbeat at most
}

TEST_F(WorkerCoreTest, ShutDownEndsAtItsDeadlineWithoutAnswers) {
  connect(0s);
  run(0s, {0, 4}, 1);
  at(1s, ShutDown{4s});
  EXPECT_EQ(all<ShutDownComplete>(at(5s, TimerFired{})).size(), 1U);
}

}  // namespace
}  // namespace overwinter::worker
