// From what workers say to what readers are told of a job and a worker.
#include "coordinator/runtime/snapshot.h"

#include <gtest/gtest.h>

#include "common/wire/convert.h"
#include "coordinator/runtime/resources.h"
#include "tests/support/core_builders.h"

namespace overwinter::runtime {
namespace {

using namespace core::test;

class SnapshotTest : public testing::Test {
 protected:
  v1::Job job(JobId id) {
    refresh();
    return job_resource(*views_, *views_->job(id));
  }
  v1::Worker worker(WorkerId id) {
    refresh();
    return worker_resource(*views_, admin(), *views_->worker(id), cluster.now);
  }
  core::SeatStatus holding(SeatKey seat, std::uint64_t used) {
    core::SeatStatus status;
    status.seat = seat;
    status.memory_used_bytes = used;
    status.memory_peak_bytes = 50;
    return status;
  }

  TestCluster cluster;

 private:
  void refresh() {
    views_.emplace(1);
    views_->apply(snapshot_all(cluster.scheduler(), cluster.now));
  }
  std::optional<Views> views_;
};

TEST_F(SnapshotTest, ASeatAndItsDeviceShowWhatIsHeldNow) {
  const WorkerId box = cluster.joined(a_worker());
  const JobId first = cluster.submit(a_job().with_units(5).with_memory(kGiB).with_threads(1));
  const JobId second = cluster.submit(a_job().with_units(5).with_memory(kGiB).with_threads(1));
  const SeatKey a = cluster.seat(first);
  const SeatKey b = cluster.seat(second);
  cluster.beat(box, {holding(a, 30), holding(b, 12)});
  ASSERT_EQ(job(first).seats_size(), 1);
  EXPECT_EQ(job(first).seats(0).memory_used_bytes(), 30U);
  EXPECT_EQ(job(first).seats(0).memory_peak_bytes(), 50U);
  ASSERT_EQ(worker(box).uses_size(), 1);
  EXPECT_EQ(worker(box).uses(0).memory_used_bytes(), 42U);
  EXPECT_EQ(worker(box).uses(0).memory_reserved_bytes(), 2 * kGiB);
  cluster.beat(box, {holding(a, 8), holding(b, 12)});
  EXPECT_EQ(job(first).seats(0).memory_used_bytes(), 8U);
  EXPECT_EQ(worker(box).uses(0).memory_used_bytes(), 20U);
  // An ended seat holds nothing.
  cluster.act(first, core::JobAction::kCancel);
  cluster.end(a, Duration(0));
  EXPECT_EQ(job(first).seats_size(), 0);
  EXPECT_EQ(worker(box).uses(0).memory_used_bytes(), 12U);
}

TEST_F(SnapshotTest, ARunningJobSaysWhenItLastGotOnAndHowOftenItDoes) {
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(20));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  EXPECT_FALSE(job(id).progress().has_update_time());
  for (UnitNumber unit = 0; unit < 4; ++unit) {
    cluster.run_for(Duration(3000));
    EXPECT_FALSE(job(id).progress().has_update_interval()) << unit;
    cluster.land(seat, units(unit, unit + 1));
  }
  const Time last = cluster.now;
  cluster.run_for(Duration(500));
  EXPECT_EQ(wire::from_proto(job(id).progress().update_time()), last);
  EXPECT_EQ(wire::from_proto(job(id).progress().update_interval()).value(), Duration(3000));
  cluster.act(id, core::JobAction::kPause);
  EXPECT_FALSE(job(id).progress().has_update_time());
  EXPECT_FALSE(job(id).progress().has_update_interval());
}

// What heartbeats say anew is read with the job's next event; they cause none of their own.
TEST_F(SnapshotTest, AHeartbeatIsOneChangeOfAJobHoweverMuchIsNew) {
  const WorkerId box = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  cluster.began(cluster.seat(id));
  const auto changes = [&](const core::Outcome& outcome) {
    ViewChange change;
    note_change(cluster.scheduler(), outcome, cluster.now, change);
    return change.jobs.size();
  };
  EXPECT_EQ(changes(cluster.beat(box, {holding(cluster.seat(id), 5)})), 1U);
  EXPECT_EQ(changes(cluster.beat(box, {holding(cluster.seat(id), 9)})), 1U);
  EXPECT_EQ(changes(cluster.beat(box)), 0U);
}

}  // namespace
}  // namespace overwinter::runtime
