// Who gets which device: waiting and growing jobs, devices kept free, workers on which work failed.
#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

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

JobBuilder half() {
  return a_job().with_threads(2);
}
JobBuilder whole() {
  return a_job().with_threads(4);
}

// ---- a device is kept free for a job that has waited a minute

TEST(Placement, SmallSeatsDoNotStarveALargeOneThatHasWaitedAMinute) {
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

TEST(Placement, WhatIsKeptFreeIsNotKeptFromAJobOfHigherPriority) {
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

TEST(Placement, WhatIsKeptFreeGoesToOthersWhenTheJobWaitsNoMore) {
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

TEST(Placement, WhatIsKeptFreeGoesToOthersWhenTheJobStartsElsewhere) {
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

TEST(Placement, NoMoreDevicesAreKeptFreeThanTheJobNeeds) {
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

TEST(Placement, ADeviceThatIsTooSmallForAJobIsNotKeptFreeForIt) {
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

// ---- how many seats

TEST(Placement, AJobStartsWithAllTheSeatsThatItNeedsOrWithNone) {
  Room room;
  room.joined(a_worker().named("a"));
  room.joined(a_worker().named("b"));
  // It needs no more seats than it has units.
  const JobId two = room.cluster.submit(a_job().with_units(2).with_seats(3, 3));
  EXPECT_EQ(room.seats(two), 2U);
  const JobId three = room.cluster.submit(a_job().with_units(9).with_seats(3, 3));
  room.joined(a_worker().named("c"));
  room.joined(a_worker().named("d"));
  EXPECT_EQ(room.seats(three), 0U);
  room.joined(a_worker().named("e"));
  EXPECT_EQ(room.seats(three), 3U);
  EXPECT_EQ(room.cluster.job(three).attempt, 1U);
}

TEST(Placement, AJobThatAsksForNoSeatAtLeastGetsOneToo) {
  Room room;
  const JobId id = room.cluster.submit(a_job().with_units(9).with_seats(0, 2));
  room.joined(a_worker());
  EXPECT_EQ(room.seats(id), 1U);
}

TEST(Placement, ADeviceHoldsAsManySeatsOfAJobAsFit) {
  Room room;
  room.joined(a_worker().with_device(4 * kGiB, 4).with_device(4 * kGiB, 2));
  const JobId id = room.cluster.submit(a_job().with_units(9).with_threads(2).with_seats(1, 8));
  EXPECT_EQ(room.seats(id), 3U);
  const Worker& worker = room.cluster.worker(room.workers[0]);
  EXPECT_EQ(worker.use[0].seats, 2U);
  EXPECT_EQ(worker.use[0].threads, 4U);
  EXPECT_EQ(worker.use[0].memory_bytes, 2 * kGiB);
  EXPECT_EQ(worker.use[0].share_ppm, 1'000'000U);
  EXPECT_EQ(worker.use[1].seats, 1U);
}

TEST(Placement, ARunningJobGrowsWhileUnitsWaitAndNoFurther) {
  Room room;
  room.joined(a_worker().named("a"));
  const JobId id = room.cluster.submit(a_job().with_units(6).with_seats(1, 3).with_range_max(1));
  room.cluster.began(room.cluster.seat(id));
  room.joined(a_worker().named("b"));
  EXPECT_EQ(room.seats(id), 2U);
  room.joined(a_worker().named("c"));
  EXPECT_EQ(room.seats(id), 3U);
  room.joined(a_worker().named("d"));
  EXPECT_EQ(room.seats(id), 3U);
  const JobId one = room.cluster.submit(a_job().with_seats(1, 3));
  EXPECT_EQ(room.seats(one), 1U);
  room.joined(a_worker().named("e"));
  EXPECT_EQ(room.seats(one), 1U);  // its only unit is handed out
}

TEST(Placement, WhoHoldsNoSeatGoesBeforeWhoWouldGrow) {
  Room room;
  room.joined(a_worker().named("a"));
  const JobId grows =
      room.cluster.submit(a_job().with_units(90).with_seats(1, 9).with_priority(Priority::kHigh));
  const JobId waits = room.cluster.submit(a_job().with_priority(Priority::kLow));
  EXPECT_EQ(room.seats(waits), 0U);
  room.joined(a_worker().named("b"));
  EXPECT_EQ(room.seats(waits), 1U);
  EXPECT_EQ(room.seats(grows), 1U);
  room.joined(a_worker().named("c"));
  EXPECT_EQ(room.seats(grows), 2U);
}

TEST(Placement, OneUnitThatComesBackGetsOneSeat) {
  Room room;
  const WorkerId a = room.joined(a_worker().named("a").with_device(4 * kGiB, 1));
  const WorkerId b = room.joined(a_worker().named("b").with_device(4 * kGiB, 4, "cpu", 5));
  const JobId busy = room.cluster.submit(a_job().with_threads(4).with_units(1));
  ASSERT_EQ(room.at(busy), b);
  const JobId id =
      room.cluster.submit(a_job().with_threads(1).with_units(2).with_seats(1, 5).with_range_max(1));
  const SeatKey seat = room.cluster.seat(id);
  ASSERT_EQ(room.at(id), a);
  room.cluster.began(seat);
  room.finish(busy);
  ASSERT_EQ(room.seats(id), 1U);  // both units are with it
  room.cluster.report(a, UnitsFailed{seat, units(1, 2), "it broke"});
  EXPECT_EQ(room.seats(id), 2U);
  EXPECT_EQ(room.at(id, 1), b);
}

TEST(Placement, ASeatThatACapCannotPayWhereAnHourIsCheapestIsPaidWhereItsShareIs) {
  Room room;
  ledger::PriceBook book;
  book.entries = {{Time{}, "small", "any", false, Money{3'600'000}, {}},
                  {Time{}, "large", "any", false, Money{5'400'000}, {}}};
  room.cluster.set_prices(book);
  room.joined(a_worker().named("small").with_device(4 * kGiB, 2, "small"));
  const WorkerId large = room.joined(a_worker().named("l").with_device(16 * kGiB, 8, "large"));
  // Two seconds of it cost 2,000 on the small one and 750 on a quarter of the large one.
  const JobId id = room.cluster.submit(half().with_units(9).with_cap(800));
  ASSERT_EQ(room.seats(id), 1U);
  EXPECT_EQ(room.at(id), large);
  EXPECT_EQ(room.cluster.job(id).attempt, 1U);
}

TEST(Placement, AJobWhoseCapPaysNoSeatAnyMoreIsPausedWhenItsTurnComes) {
  Room room;
  room.cluster.set_prices(a_book(3'600'000));
  const JobId id = room.cluster.submit(a_job().with_units(9).with_cap(1'999));
  ASSERT_TRUE(id.valid());  // no worker was known
  const JobId enough = room.cluster.submit(a_job().with_units(9).with_cap(2'000));
  room.joined(a_worker());
  EXPECT_EQ(room.cluster.job(id).state, JobState::kPaused);
  EXPECT_EQ(room.cluster.job(id).cause, Cause::kBudget);
  EXPECT_EQ(room.cluster.job(id).state_actor, 0U);
  EXPECT_EQ(room.seats(enough), 1U);
}

// ---- where its work failed

TEST(Placement, WorkThatFailedIsTriedOnAnotherWorkerEvenIfThatIsBusy) {
  Room room;
  const WorkerId a = room.joined(a_worker().named("a"));
  const WorkerId b = room.joined(a_worker().named("b").with_device(4 * kGiB, 4, "cpu", 5));
  const JobId id = room.cluster.submit(a_job());
  const JobId busy = room.cluster.submit(a_job());
  ASSERT_EQ(room.at(id), a);
  ASSERT_EQ(room.at(busy), b);
  room.cluster.end(room.cluster.seat(id), Duration(0), SeatEnd::kFailed, "it broke");
  EXPECT_EQ(room.seats(id), 0U);  // a is free, and not asked
  EXPECT_EQ(room.cluster.job(id).state, JobState::kQueued);
  room.finish(busy);
  EXPECT_EQ(room.at(id), b);
}

TEST(Placement, WorkThatFailedIsTriedAgainOnItsWorkerWhereNoOtherCouldEverTakeIt) {
  enum class Other { kNone, kSmall, kDraining, kLost, kOtherProject };
  for (const Other other :
       {Other::kNone, Other::kSmall, Other::kDraining, Other::kLost, Other::kOtherProject}) {
    Room room;
    const WorkerId a = room.joined(a_worker().named("a"));
    WorkerBuilder second = a_worker().named("b").with_device(
        other == Other::kSmall ? kGiB / 2 : 4 * kGiB, 4, "cpu", 5);
    if (other == Other::kOtherProject) second.for_projects({"another"});
    WorkerId b;
    if (other != Other::kNone) b = room.joined(second);
    if (other == Other::kDraining) room.cluster.act(b, WorkerAction::kDrain);
    if (other == Other::kLost) {
      room.workers.pop_back();
      room.live(Duration(50'000));
      ASSERT_EQ(room.cluster.worker(b).state, WorkerState::kLost);
    }
    const JobId id = room.cluster.submit(a_job());
    room.cluster.end(room.cluster.seat(id), Duration(0), SeatEnd::kFailed, "it broke");
    ASSERT_EQ(room.seats(id), 1U) << static_cast<int>(other);
    EXPECT_EQ(room.at(id), a);
    EXPECT_EQ(room.cluster.job(id).failures, 1U);
  }
}

TEST(Placement, WorkThatWaitsForAnotherWorkerGoesBackWhenThatOneGoes) {
  Room room;
  const WorkerId a = room.joined(a_worker().named("a"));
  const WorkerId b = room.joined(a_worker().named("b").with_device(4 * kGiB, 4, "cpu", 5));
  const JobId id = room.cluster.submit(a_job());
  room.cluster.submit(a_job());
  room.cluster.end(room.cluster.seat(id), Duration(0), SeatEnd::kFailed, "it broke");
  ASSERT_EQ(room.seats(id), 0U);
  room.cluster.act(b, WorkerAction::kDrain);
  EXPECT_EQ(room.at(id), a);
}

TEST(Placement, OtherWorkersThatCouldHoldAllItsSeatsAreWaitedForAndTooFewAreNot) {
  for (const std::uint32_t threads : {4U, 8U}) {  // of the other worker: one seat, or two
    Room room;
    const WorkerId a = room.joined(a_worker().named("a"));
    const WorkerId b = room.joined(a_worker().named("b").with_device(8 * kGiB, threads, "cpu", 5));
    const JobId id = room.cluster.submit(whole().with_units(9).with_seats(2, 2));
    ASSERT_EQ(room.seats(id), 2U);
    ASSERT_EQ(room.at(id, 1), b);
    const SeatKey first = room.cluster.seat(id, 0);
    const SeatKey second = room.cluster.seat(id, 1);
    room.cluster.end(second, Duration(0), SeatEnd::kLeaving);  // b shuts down
    room.cluster.end(first, Duration(0), SeatEnd::kFailed, "it broke");
    ASSERT_EQ(room.seats(id), 0U);
    room.cluster.step(WorkerDisconnected{b, Incarnation(1)});
    room.cluster.hello(b, a_worker().named("b").with_device(8 * kGiB, threads, "cpu", 5), 2);
    ASSERT_EQ(room.seats(id), 2U);
    EXPECT_EQ(room.at(id, 0), threads == 4 ? a : b);
  }
}

// ---- larger than every worker

TEST(Placement, AJobLargerThanEveryWorkerIsPlannedAnewWhenOneComes) {
  Room room;
  room.joined(a_worker().named("a"));
  const JobId large = room.cluster.submit(a_job().with_memory(8 * kGiB));
  const JobId larger = room.cluster.submit(a_job().with_memory(64 * kGiB));
  const JobId fits = room.cluster.submit(a_job());
  ASSERT_EQ(room.seats(fits), 1U);
  const WorkerBuilder big = a_worker().named("big").with_device(16 * kGiB, 4);
  const WorkerId worker = room.cluster.join(big);
  room.cluster.hello(worker, big);
  EXPECT_EQ(room.seats(large), 1U);
  const auto replans = room.cluster.all<Replan>();
  ASSERT_EQ(replans.size(), 1U);  // what fits now is not asked for
  EXPECT_EQ(replans[0].job, larger);
  // One that was started is bound to its plan.
  room.cluster.act(worker, WorkerAction::kRemove);
  room.cluster.end(room.cluster.seat(large), Duration(0));
  ASSERT_EQ(room.cluster.worker(worker).state, WorkerState::kRemoved);
  EXPECT_TRUE(room.cluster.all<Replan>().empty());  // nothing came
  ASSERT_EQ(room.cluster.job(large).state, JobState::kQueued);
  const WorkerBuilder third = a_worker().named("c");
  room.cluster.hello(room.cluster.join(third), third);
  ASSERT_EQ(room.cluster.all<Replan>().size(), 1U);
  EXPECT_EQ(room.cluster.all<Replan>()[0].job, larger);
}

TEST(Placement, AtMostAHundredJobsArePlannedAnewAtOnce) {
  Room room;
  for (int i = 0; i < 101; ++i) room.cluster.submit(a_job().with_memory(64 * kGiB));
  const WorkerBuilder builder = a_worker();
  const WorkerId worker = room.cluster.join(builder);
  room.cluster.hello(worker, builder);
  EXPECT_EQ(room.cluster.all<Replan>().size(), 100U);
}

TEST(Placement, OfDevicesThatCouldTakeItTheCheapestIsTaken) {
  Room room;
  ledger::PriceBook book;
  book.entries = {{Time{}, "dear", "any", false, Money{2'000}, {}},
                  {Time{}, "cheap", "any", false, Money{1'000}, {}}};
  room.cluster.set_prices(book);
  const WorkerId worker =
      room.joined(a_worker().with_device(4 * kGiB, 4, "dear").with_device(4 * kGiB, 4, "cheap"));
  const JobId first = room.cluster.submit(a_job());
  const JobId second = room.cluster.submit(a_job());
  EXPECT_EQ(room.cluster.state().find_seat(room.cluster.seat(first))->device, 1U);
  EXPECT_EQ(room.cluster.state().find_seat(room.cluster.seat(second))->device, 0U);
  EXPECT_EQ(room.cluster.state().find_seat(room.cluster.seat(second))->device_price_per_hour,
            Money{2'000});
  EXPECT_EQ(room.cluster.state().find_seat(room.cluster.seat(first))->device_price_per_hour,
            Money{1'000});
  EXPECT_EQ(machine_price(room.cluster.worker(worker)), Money{3'000});
}

}  // namespace
}  // namespace overwinter::core::test
