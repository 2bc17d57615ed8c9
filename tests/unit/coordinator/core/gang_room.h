// Two workers of one network and what gangs on them say.
#pragma once

#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {

inline constexpr const char* kNet = "10.0.0.0/24";

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

}  // namespace overwinter::core::test
