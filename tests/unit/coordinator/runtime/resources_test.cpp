// What people get of jobs and workers, of a cluster that is driven by hand.
#include "coordinator/runtime/resources.h"

#include <gtest/gtest.h>

#include "coordinator/runtime/explain.h"
#include "coordinator/runtime/snapshot.h"
#include "tests/support/core_builders.h"

namespace overwinter::runtime {
namespace {

using namespace core::test;

constexpr std::int64_t kPrice = 3'600'000;  // micro-units an hour: one a millisecond

class ResourcesTest : public testing::Test {
 protected:
  v1::Job job(JobId id) {
    views_.apply(snapshot_all(cluster_.scheduler(), cluster_.now));
    return job_resource(views_, *views_.job(id));
  }
  v1::Worker worker(WorkerId id, Duration later = Duration(0)) {
    views_.apply(snapshot_all(cluster_.scheduler(), cluster_.now));
    return worker_resource(views_, admin(), *views_.worker(id), cluster_.now + later);
  }
  // Each worker speaks once a second of how long it has held its seats.
  void live_for(Duration time, GangPhase phase) {
    for (Duration t{0}; t < time; t += Duration(1000)) {
      cluster_.run_for(Duration(1000));
      for (const auto& [id, one] : std::map(cluster_.state().workers)) {
        std::vector<core::SeatStatus> seats;
        for (const SeatKey key : one.seats) {
          core::SeatStatus status;
          status.seat = key;
          status.used = cluster_.now - cluster_.state().find_seat(key)->granted_at;
          status.phase = phase;
          seats.push_back(status);
        }
        cluster_.beat(id, seats);
      }
    }
  }
  // One that takes the whole device, for so long.
  void use(WorkerId worker, Duration time) {
    const JobId id = cluster_.submit(a_job().with_memory(4 * kGiB).with_landing(Landing::kReport));
    const SeatKey seat = cluster_.seat(id);
    cluster_.began(seat);
    cluster_.run_for(time);
    cluster_.report(worker, core::UnitsReported{seat, units(0, 1)});
    if (cluster_.state().find_seat(seat) != nullptr) cluster_.end(seat, time);
  }

  TestCluster cluster_;
  Views views_{1};
};

TEST_F(ResourcesTest, ARunningGangsCostHasWhatItsSeatsWaitedForEachOther) {
  cluster_.set_prices(a_book(kPrice));
  for (const char* name : {"a", "b"}) {
    cluster_.joined(a_worker().named(name).on_network("10.0.0.0/24"));
  }
  const JobId id = cluster_.submit(a_job().as_gang(2, 2).with_memory(4 * kGiB));
  live_for(Duration(3000), GangPhase::kPreparing);
  EXPECT_EQ(job(id).cost().charged().amount_micros(), 6000);
  EXPECT_EQ(job(id).cost().gang_wait().amount_micros(), 6000) << "it is not up: all is waiting";
  for (const std::size_t rank : {0U, 1U}) {
    const SeatKey seat = cluster_.seat(id, rank);
    cluster_.report(cluster_.state().find_seat(seat)->worker, core::SeatPrepared{seat});
  }
  for (const std::size_t rank : {0U, 1U}) cluster_.began(cluster_.seat(id, rank));
  ASSERT_EQ(cluster_.job(id).state, core::JobState::kRunning);
  live_for(Duration(4000), GangPhase::kUp);
  EXPECT_EQ(job(id).cost().charged().amount_micros(), 14'000);
  EXPECT_EQ(job(id).cost().gang_wait().amount_micros(), 6000);
  EXPECT_EQ(job(id).cost().wasted().amount_micros(), 0);
  // It stays so when its seats are billed, and is told of where the loss is.
  const SeatKey first = cluster_.seat(id, 0);
  cluster_.report(cluster_.state().find_seat(first)->worker,
                  core::SeatEnded{first, core::SeatEnd::kFailed, Duration(7000), 0, "it broke"});
  const SeatKey second = cluster_.seat(id, 0);
  cluster_.end(second, Duration(7000), core::SeatEnd::kPeerLost);
  ASSERT_EQ(cluster_.job(id).state, core::JobState::kFailed);
  EXPECT_EQ(job(id).cost().gang_wait().amount_micros(), 6000);
  EXPECT_EQ(job(id).cost().wasted().amount_micros(), 8000);
  EXPECT_EQ(explain_job(views_, admin(), *views_.job(id)).gang_wait().amount_micros(), 6000);
}

TEST_F(ResourcesTest, AJobThatMoneyKeepsWaitingSaysSo) {
  cluster_.joined(a_worker().with_price(3'600'000));
  const JobId first = cluster_.submit(a_job().with_memory(4 * kGiB));
  cluster_.joined(a_worker().named("dear").with_price(3'600'000'000));
  const JobId poor = cluster_.submit(a_job().with_memory(4 * kGiB).with_cap(60'000));
  ASSERT_EQ(cluster_.job(poor).state, core::JobState::kQueued);
  EXPECT_EQ(job(poor).state_reason(), "waits for a device that what is left of its cap pays for");
  EXPECT_FALSE(views_.job(first)->waits_for_budget);
  const auto why = explain_job(views_, admin(), *views_.job(poor));
  EXPECT_EQ(why.summary(),
            "devices are free, and what is left of its cap of 0.06 pays for none of them");
  ASSERT_GT(why.commands_size(), 0);
  EXPECT_NE(why.commands(0).find("--cap"), std::string::npos);
}

TEST_F(ResourcesTest, AWorkerIsBusyForItsPartOfTheLastHourOrOfItsLife) {
  const WorkerId id = cluster_.joined(a_worker());
  EXPECT_EQ(worker(id).busy_fraction(), 0);
  cluster_.run_for(Duration(2'000));
  use(id, Duration(6'000));
  EXPECT_DOUBLE_EQ(worker(id).busy_fraction(), 0.75);
  EXPECT_DOUBLE_EQ(worker(id, Duration(4'000)).busy_fraction(), 0.5);
  // Of the last hour it is there for a while, then in part, then no more.
  constexpr double kHour = 3'600'000;
  EXPECT_DOUBLE_EQ(worker(id, Duration(3'596'000)).busy_fraction(), 4'000 / kHour);
  EXPECT_EQ(worker(id, Duration(3'600'000)).busy_fraction(), 0);
  // A seat that is held counts up to now.
  const JobId held = cluster_.submit(a_job().with_memory(4 * kGiB));
  ASSERT_EQ(cluster_.job(held).seats.size(), 1U);
  EXPECT_DOUBLE_EQ(worker(id, Duration(8'000)).busy_fraction(), 14'000.0 / 16'000);
  EXPECT_EQ(worker(id, Duration(7'200'000)).busy_fraction(), 1);
}

TEST_F(ResourcesTest, LossesAreThoseOfThirtyDays) {
  const WorkerId id = cluster_.joined(a_worker());
  EXPECT_EQ(worker(id).losses(), 0U);
  cluster_.run_for(Duration(100'000));
  ASSERT_EQ(cluster_.worker(id).state, core::WorkerState::kLost);
  cluster_.hello(id, a_worker(), 2);
  cluster_.run_for(Duration(100'000));
  EXPECT_EQ(worker(id).losses(), 2U);
  EXPECT_EQ(worker(id, core::kLossesKept - Duration(100'000)).losses(), 1U);
  EXPECT_EQ(worker(id, core::kLossesKept).losses(), 0U);
}

}  // namespace
}  // namespace overwinter::runtime
