// A device is kept free for a job that has waited a minute, and for no other.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/placement_room.h"

namespace overwinter::core::test {
namespace {

TEST(PlacementKeptFree, SmallSeatsDoNotStarveALargeOneThatHasWaitedAMinute) {
  for (const bool minute : {false, true}) {
    Room room;
    room.joined(a_worker());
    const JobId first = room.cluster.submit(half());
    const JobId second = room.cluster.submit(half());
    const JobId large = room.cluster.submit(whole());
    room.live(Duration(minute ? 60'000 : 59'999));
    const JobId third = room.cluster.submit(half());
    room.finish(first);
    EXPECT_EQ(room.seats(third), minute ? 0U : 1U);
    const JobId fourth = room.cluster.submit(half());
    room.finish(second);
    EXPECT_EQ(room.seats(large), minute ? 1U : 0U);
    EXPECT_EQ(room.seats(fourth), minute ? 0U : 1U);
  }
}

TEST(PlacementKeptFree, WhatIsKeptFreeIsNotKeptFromAJobOfHigherPriority) {
  Room room;
  room.joined(a_worker());
  const JobId first = room.cluster.submit(half());
  room.cluster.submit(half());
  const JobId large = room.cluster.submit(whole());
  room.live(Duration(60'000));
  room.finish(first);
  EXPECT_EQ(room.seats(room.cluster.submit(half())), 0U);
  EXPECT_EQ(room.seats(room.cluster.submit(half().with_threads(1).with_priority(Priority::kHigh))),
            1U);
  EXPECT_EQ(room.seats(large), 0U);
}

TEST(PlacementKeptFree, WhatIsKeptFreeGoesToOthersWhenTheJobWaitsNoMore) {
  Room room;
  const WorkerId one = room.joined(a_worker());
  const JobId first = room.cluster.submit(half());
  room.cluster.submit(half());
  const JobId large = room.cluster.submit(whole());
  const JobId small = room.cluster.submit(half());
  room.live(Duration(60'000));
  room.finish(first);
  ASSERT_EQ(room.seats(small), 0U);
  room.cluster.act(large, JobAction::kPause);
  EXPECT_EQ(room.seats(small), 1U);
  EXPECT_EQ(room.at(small), one);
}

TEST(PlacementKeptFree, WhatIsKeptFreeGoesToOthersWhenTheJobStartsElsewhere) {
  Room room;
  const WorkerId one = room.joined(a_worker());
  const JobId first = room.cluster.submit(half());
  room.cluster.submit(half());
  const JobId large = room.cluster.submit(whole());
  const JobId small = room.cluster.submit(half());
  room.live(Duration(60'000));
  room.finish(first);
  ASSERT_EQ(room.seats(small), 0U);
  const WorkerId two = room.joined(a_worker().named("two"));
  EXPECT_EQ(room.at(large), two);
  EXPECT_EQ(room.at(small), one);
}

TEST(PlacementKeptFree, NoMoreDevicesAreKeptFreeThanTheJobNeeds) {
  Room room;
  std::vector<JobId> firsts;
  for (const char* name : {"a", "b", "c"}) room.joined(a_worker().named(name));
  for (int i = 0; i < 6; ++i) firsts.push_back(room.cluster.submit(half()));
  const JobId large = room.cluster.submit(whole().with_units(9).with_seats(2, 2));
  room.live(Duration(60'000));
  std::vector<JobId> later;
  for (int i = 0; i < 3; ++i) later.push_back(room.cluster.submit(half()));
  for (int i = 0; i < 6; i += 2) room.finish(firsts[static_cast<std::size_t>(i)]);
  EXPECT_EQ(room.seats(later[0]) + room.seats(later[1]) + room.seats(later[2]), 1U);
  EXPECT_EQ(room.at(later[0]), room.workers[2]);
  room.finish(firsts[1]);
  EXPECT_EQ(room.seats(large), 0U);  // two at once or none
  room.finish(firsts[3]);
  EXPECT_EQ(room.seats(large), 2U);
}

TEST(PlacementKeptFree, OnAWorkerThatIsLostNothingIsKeptFree) {
  Room room;
  const WorkerId a = room.joined(a_worker().named("a"));
  room.joined(a_worker().named("b"));
  std::vector<JobId> halves;
  for (int i = 0; i < 4; ++i) halves.push_back(room.cluster.submit(half()));
  const JobId large = room.cluster.submit(whole());
  room.live(Duration(60'000));
  ASSERT_EQ(room.at(halves[0]), a);
  room.finish(halves[0]);  // of a: kept free
  room.workers.erase(room.workers.begin());
  room.live(Duration(60'000));
  ASSERT_EQ(room.cluster.worker(a).state, WorkerState::kLost);
  room.cluster.act(halves[1], JobAction::kCancel);  // it was on a
  room.finish(halves[2]);                           // of b: kept free in its place
  EXPECT_EQ(room.seats(room.cluster.submit(half())), 0U);
  room.finish(halves[3]);
  EXPECT_EQ(room.seats(large), 1U);
}

TEST(PlacementKeptFree, ADeviceThatIsTooSmallForAJobIsNotKeptFreeForIt) {
  Room room;
  const WorkerId large = room.joined(a_worker());
  const WorkerId small = room.joined(a_worker().named("small").with_device(4 * kGiB, 2));
  const JobId busy = room.cluster.submit(whole());
  const JobId first = room.cluster.submit(half());
  ASSERT_EQ(room.at(busy), large);
  ASSERT_EQ(room.at(first), small);
  room.cluster.submit(whole());
  const JobId next = room.cluster.submit(half());
  room.live(Duration(60'000));
  room.finish(first);
  EXPECT_EQ(room.seats(next), 1U);
}

TEST(PlacementKeptFree, ADeviceIsNotKeptFreeForAJobThatWouldOnlyGrow) {
  Room room;
  room.joined(a_worker().named("a"));
  const JobId whole_one =
      room.cluster.submit(whole().with_units(9).with_seats(1, 2).with_range_max(1));
  room.joined(a_worker().named("b").with_device(4 * kGiB, 4, "cpu", 5));
  ASSERT_EQ(room.seats(whole_one), 2U);
  room.cluster.act(whole_one, JobAction::kPause);
  while (room.seats(whole_one) > 0) room.cluster.end(room.cluster.seat(whole_one), Duration(0));
  const JobId first = room.cluster.submit(half());
  room.cluster.submit(half());
  room.cluster.act(whole_one, JobAction::kResume);
  room.joined(a_worker().named("c").with_device(4 * kGiB, 2, "cpu", 1));
  const JobId grows = room.cluster.submit(half().with_units(99).with_seats(1, 2).with_range_max(1));
  ASSERT_EQ(room.seats(whole_one), 1U);
  ASSERT_EQ(room.seats(grows), 1U);
  room.live(Duration(60'000));
  room.finish(first);
  EXPECT_EQ(room.seats(grows), 2U);
  EXPECT_EQ(room.seats(whole_one), 1U);
}

}  // namespace
}  // namespace overwinter::core::test
