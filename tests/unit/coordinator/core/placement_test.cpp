// Who gets which device: waiting and growing jobs, workers on which work failed.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/placement_room.h"

namespace overwinter::core::test {
namespace {

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
  EXPECT_EQ(room.cluster.job(three).state_actor, 0U);
}

TEST(Placement, NoJobOvertakesAnEarlierOneOfItsKind) {
  Room room;
  room.joined(a_worker().named("a"));
  const JobId two = room.cluster.submit(a_job().with_units(9).with_seats(2, 2));
  const JobId one = room.cluster.submit(a_job());
  EXPECT_EQ(room.seats(one), 0U);
  // Until it is put before the other.
  room.cluster.step(JobUpdateRequested{admin(), ReplyId(4), one, {}, Priority::kHigh});
  EXPECT_EQ(room.seats(one), 1U);
  EXPECT_EQ(room.seats(two), 0U);
}

TEST(Placement, APriorityThatIsRaisedWhileAJobWaitsCounts) {
  Room room;
  room.joined(a_worker());
  const JobId busy = room.cluster.submit(a_job());
  const JobId first = room.cluster.submit(a_job());
  const JobId second = room.cluster.submit(a_job());
  room.cluster.step(JobUpdateRequested{admin(), ReplyId(4), second, {}, Priority::kHigh});
  room.finish(busy);
  EXPECT_EQ(room.seats(first), 0U);
  EXPECT_EQ(room.seats(second), 1U);
}

TEST(Placement, WhenAWorkerIsLostWhoHoldsNothingNowIsServedBeforeWhoLostAPart) {
  Room room;
  const WorkerId a = room.joined(a_worker().named("a"));
  const JobId part = room.cluster.submit(half().with_units(4).with_seats(1, 2).with_range_max(1));
  const JobId all = room.cluster.submit(half());
  ASSERT_EQ(room.seats(part), 2U);
  ASSERT_EQ(room.seats(all), 0U);
  room.cluster.act(part, JobAction::kPause);
  while (room.seats(part) > 0) room.cluster.end(room.cluster.seat(part), Duration(0));
  ASSERT_EQ(room.at(all), a);
  room.joined(a_worker().named("b").with_device(4 * kGiB, 2, "cpu", 5));
  room.cluster.act(part, JobAction::kResume);
  ASSERT_EQ(room.seats(part), 2U);  // on a, and on b
  ASSERT_EQ(room.at(part, 0), a);
  for (std::size_t i = 0; i < 2; ++i) room.cluster.began(room.cluster.seat(part, i));
  ASSERT_TRUE(room.cluster.soft().jobs.at(part).pool.empty());
  const WorkerId c = room.joined(a_worker().named("c").with_device(4 * kGiB, 2, "cpu", 1));
  EXPECT_TRUE(room.cluster.worker(c).seats.empty());
  room.workers.erase(room.workers.begin());
  room.live(Duration(60'000));
  ASSERT_EQ(room.cluster.worker(a).state, WorkerState::kLost);
  EXPECT_EQ(room.at(all), c);
  EXPECT_EQ(room.seats(part), 1U);
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
