// A cluster with one worker and round prices.
#pragma once

#include <algorithm>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {

// 3.6 an hour is 1,000 micro-units a second: a millisecond costs one micro-unit.
inline constexpr std::int64_t kHour = 3'600'000;
inline constexpr std::int64_t kSecond = 1'000;

struct Shop {
  TestCluster cluster;
  WorkerId worker;
  Shop() {
    cluster.set_prices(a_book(kHour));
    worker = cluster.joined(a_worker());
  }
  void says(SeatKey seat, Duration used) { cluster.beat(worker, {{seat, used, {}, 0, false}}); }
  [[nodiscard]] const Seat& held(SeatKey seat) const { return *cluster.state().find_seat(seat); }
  // Until `at`; each 500 ms the worker says what `used` returns for the time since the grant.
  template <class Used>
  void work_until(SeatKey seat, Time at, Used used) {
    const Time granted = held(seat).granted_at;
    while (cluster.now < at) {
      cluster.run_until(std::min(at, cluster.now + Duration(500)));
      if (cluster.state().find_seat(seat) == nullptr) return;
      cluster.beat(worker, {{seat, used(cluster.now - granted), {}, 0, false}});
    }
  }
  void work_until(SeatKey seat, Time at) {
    work_until(seat, at, [](Duration all) { return all; });
  }
  // A worker that computes until its funds end, heard every 100 ms. Returns how long it worked.
  Duration work_until_it_ends(JobId id, Duration at_most) {
    const SeatKey seat = cluster.seat(id);
    const Time began = cluster.now;
    cluster.began(seat);
    const Duration stop = cluster.job(id).demand.stop_time;
    while (cluster.now - began < at_most) {
      const Seat* held = cluster.state().find_seat(seat);
      if (held == nullptr) return cluster.now - began;
      const Duration used = cluster.now - began;
      if (held->stopping || used >= held->funded_for - stop) {
        cluster.run_for(stop / 2);
        const Duration whole = cluster.now - began;
        cluster.end(seat, whole, held->stopping ? SeatEnd::kFinished : SeatEnd::kFundsEnded);
        return whole;
      }
      cluster.beat(worker, {{seat, used, {}, 0, false}});
      cluster.run_for(Duration(100));
      check();
    }
    return at_most;
  }
  // No cap is passed.
  void check() {
    for (const auto& [id, job] : cluster.state().jobs) {
      if (!job.demand.cap) continue;
      ASSERT_LE(job.charged + job.reserved, ledger::charge_of(*job.demand.cap));
    }
  }
};

}  // namespace overwinter::core::test
