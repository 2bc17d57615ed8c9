#include "coordinator/core/pace.h"

#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/gang_room.h"

namespace overwinter::core::test {
namespace {

constexpr Duration kSecond{1000};

Time at(std::int64_t seconds) {
  return Time(seconds * kSecond);
}

TEST(PaceTest, IsKnownFromThreeIntervalsOn) {
  Pace pace;
  EXPECT_FALSE(pace.last());
  pace.note(at(10), std::nullopt);
  EXPECT_EQ(pace.last(), at(10));
  for (const std::int64_t s : {20, 30}) {
    pace.note(at(s), at(s - 10));
    EXPECT_FALSE(pace.usual()) << s;
  }
  pace.note(at(40), at(30));
  EXPECT_EQ(pace.usual(), 10 * kSecond);
  EXPECT_EQ(pace.last(), at(40));
}

TEST(PaceTest, OneLongPauseMovesItNotAndAnotherPaceDoes) {
  Pace pace;
  std::int64_t now = 0;
  const auto step = [&](std::int64_t took) {
    pace.note(at(now + took), at(now));
    now += took;
  };
  for (int i = 0; i < 8; ++i) step(5);
  step(3600);
  EXPECT_EQ(pace.usual(), 5 * kSecond);
  for (int i = 0; i < 16; ++i) step(60);
  EXPECT_EQ(pace.usual(), 60 * kSecond);
}

TEST(PaceTest, ThePauseOfALargeGangIsOneInterval) {
  Pace pace;
  constexpr int kSeats = 64;
  std::int64_t before = 0;
  for (const std::int64_t now : {10, 20, 30, 40, 1000, 1010}) {
    for (int seat = 0; seat < kSeats; ++seat) pace.note(at(now), at(before));
    before = now;
  }
  EXPECT_EQ(pace.usual(), 10 * kSecond);
}

std::optional<Duration> usual(const TestCluster& cluster, JobId id) {
  return cluster.soft().jobs.at(id).pace.usual();
}

TEST_F(Gang, ItsPaceIsThatOfItsStepsWhateverItsHeartbeats) {
  const JobId id = running(a_job().as_gang(2, 2));
  EXPECT_FALSE(cluster.soft().jobs.at(id).pace.last()) << "being up is no progress";
  for (std::uint64_t step = 1; step <= 5; ++step) live_for(Duration(7000), step);
  EXPECT_EQ(usual(cluster, id), Duration(7000));
  // The last step was told in the first of these seven seconds.
  EXPECT_EQ(cluster.soft().jobs.at(id).pace.last(), cluster.now - Duration(6000));
  live_for(Duration(20'000), 5);
  EXPECT_EQ(cluster.soft().jobs.at(id).pace.last(), cluster.now - Duration(26'000));
}

TEST_F(Gang, WhatItSaysOfItselfAfterARestartIsNoProgress) {
  const JobId id = running(a_job().as_gang(2, 2));
  for (std::uint64_t step = 1; step <= 5; ++step) live_for(Duration(7000), step);
  const std::vector<SeatKey> seats = {cluster.seat(id, 0), cluster.seat(id, 1)};
  cluster.restart();
  for (const SeatKey key : seats) {
    SeatStatus status;
    status.seat = key;
    status.phase = GangPhase::kUp;
    status.step = status.activity = 5;
    const WorkerId worker = cluster.state().find_seat(key)->worker;
    cluster.hello(worker, a_worker().named(worker == a ? "a" : "b").on_network(kNet), 1, {status});
  }
  live_for(Duration(2000), 5);
  EXPECT_FALSE(cluster.soft().jobs.at(id).pace.last());
  live_for(Duration(1000), 6);
  EXPECT_EQ(cluster.soft().jobs.at(id).pace.last(), cluster.now);
  EXPECT_FALSE(usual(cluster, id));
}

TEST_F(Gang, ItsNextAttemptBeginsWithoutAPace) {
  const JobId id = running(a_job().as_gang(2, 2).with_retries(3));
  for (std::uint64_t step = 1; step <= 5; ++step) live_for(Duration(2000), step);
  ASSERT_TRUE(usual(cluster, id));
  fail(cluster.seat(id, 0));
  end_all(id, SeatEnd::kPeerLost);
  EXPECT_FALSE(cluster.soft().jobs.at(id).pace.last());
  EXPECT_FALSE(usual(cluster, id));
}

TEST(PaceOfUnits, IsThatOfOneSeatsUnits) {
  TestCluster cluster;
  for (const char* name : {"a", "b"}) cluster.joined(a_worker().named(name));
  const JobId id = cluster.submit(a_job().with_units(20).with_seats(1, 2).with_memory(3 * kGiB));
  ASSERT_EQ(cluster.job(id).seats.size(), 2U);
  const SeatKey seats[] = {cluster.seat(id, 0), cluster.seat(id, 1)};
  for (const SeatKey key : seats) cluster.began(key);
  for (int round = 0; round < 4; ++round) {
    cluster.run_for(Duration(3000));
    for (const SeatKey key : seats) {
      const UnitRanges out = cluster.soft().jobs.at(id).seats.at(key.number).out;
      ASSERT_FALSE(out.empty());
      const UnitNumber unit = out.ranges().front().begin;
      cluster.land(key, units(unit, unit + 1));
    }
  }
  EXPECT_EQ(usual(cluster, id), Duration(3000));
  EXPECT_EQ(cluster.soft().jobs.at(id).pace.last(), cluster.now);
  cluster.act(id, JobAction::kPause);
  EXPECT_FALSE(cluster.soft().jobs.at(id).pace.last()) << "it does not run";
}

}  // namespace
}  // namespace overwinter::core::test
