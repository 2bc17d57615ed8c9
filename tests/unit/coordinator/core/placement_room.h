// Workers that live and jobs that come and go, for tests of who gets which device.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {

struct Room {
  TestCluster cluster;
  std::vector<WorkerId> workers;

  WorkerId joined(const WorkerBuilder& builder) {
    workers.push_back(cluster.joined(builder));
    return workers.back();
  }
  void live(Duration time) {
    for (const Time end = cluster.now + time; cluster.now < end;) {
      cluster.run_until(std::min(end, cluster.now + Duration(5'000)));
      for (const WorkerId worker : workers) cluster.beat(worker);
    }
  }
  // All units of a job that holds one seat land, and the seat ends.
  void finish(JobId id) {
    const SeatKey seat = cluster.seat(id);
    cluster.began(seat);
    cluster.land(seat, units(0, cluster.job(id).demand.units));
    cluster.end(seat, Duration(0));
    ASSERT_EQ(cluster.job(id).state, JobState::kSucceeded);
  }
  [[nodiscard]] std::size_t seats(JobId id) const { return cluster.job(id).seats.size(); }
  [[nodiscard]] WorkerId at(JobId id, std::size_t index = 0) const {
    return cluster.state().find_seat(cluster.seat(id, index))->worker;
  }
};

inline JobBuilder half() {
  return a_job().with_threads(2);
}
inline JobBuilder whole() {
  return a_job().with_threads(4);
}

}  // namespace overwinter::core::test
