// Slices of seats and of machines: cut where prices change, and what a seat pays from there on.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

using ledger::Charge;
using ledger::charge_for;
using ledger::charge_of;
using ledger::rounded;

TEST(MoneyCuts, ARiseThatTheCapJustCoversIsPassedOn) {
  for (const std::int64_t more : {0, 1}) {
    Shop run;
    const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(10 * kSecond));
    const SeatKey seat = run.cluster.seat(id);
    ASSERT_EQ(run.held(seat).funded_for, Duration(5'000));
    run.cluster.began(seat);
    run.cluster.run_for(Duration(1'000));
    run.says(seat, Duration(1'000));
    // 1 s is paid; the other 4 at 2.25 times the price take all that is left.
    run.cluster.set_prices(a_book(kHour * 9 / 4 + more));
    EXPECT_EQ(run.held(seat).stopping, more != 0);
    EXPECT_EQ(run.held(seat).device_price_per_hour, Money{more != 0 ? kHour : kHour * 9 / 4});
    if (more != 0) continue;
    EXPECT_EQ(run.cluster.job(id).charged + run.cluster.job(id).reserved,
              charge_of(Money{10 * kSecond}));
    EXPECT_EQ(run.cluster.job(id).state, JobState::kRunning);
  }
}

TEST(MoneyCuts, AFallIsPassedOnAndMakesRoom) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(1'000));
  run.says(seat, Duration(1'000));
  run.cluster.set_prices(a_book(kHour / 4));
  EXPECT_EQ(run.held(seat).device_price_per_hour, Money{kHour / 4});
  EXPECT_EQ(run.held(seat).funded_for, Duration(5'000));
  EXPECT_EQ(run.cluster.job(id).charged, charge_of(Money{kSecond}));
  EXPECT_EQ(run.cluster.job(id).reserved, charge_of(Money{kSecond}));  // 4 s at a quarter
}

TEST(MoneyCuts, TheSamePriceInANewBookChangesNothingForASeat) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(1'000));
  run.says(seat, Duration(1'000));
  run.cluster.set_prices(a_book(kHour));
  EXPECT_TRUE(run.cluster.facts<SeatFunded>().empty());
  EXPECT_EQ(run.cluster.facts<PriceBookChanged>().at(0).actor, 1U);
}

TEST(MoneyCuts, ARiseThatTheCapDoesNotCoverStopsAJobThatIsStillStarting) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.run_for(Duration(1'000));
  run.says(seat, Duration(1'000));  // its report that it began is still under way
  ASSERT_EQ(run.cluster.job(id).state, JobState::kStarting);
  run.cluster.set_prices(a_book(100 * kHour));
  EXPECT_EQ(run.cluster.job(id).state, JobState::kStopping);
  EXPECT_EQ(run.cluster.job(id).cause, Cause::kBudget);
  EXPECT_EQ(run.held(seat).stop_cause, Cause::kBudget);
  run.cluster.run_for(Duration(500));
  run.says(seat, Duration(1'500));
  run.cluster.set_prices(a_book(200 * kHour));  // it is told once
  EXPECT_TRUE(run.cluster.facts<SeatStopping>().empty());
  EXPECT_TRUE(run.cluster.facts<JobStateChanged>().empty());
  EXPECT_TRUE(run.cluster.all<StopSeat>().empty());
}

TEST(MoneyCuts, AJobThatItsCapStopsAlreadyIsNotStoppedAgainByARise) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  Duration used{0};
  while (run.cluster.job(id).state != JobState::kStopping) {
    ASSERT_LT(used, Duration(10'000));
    used += Duration(100);
    run.cluster.run_for(Duration(100));
    run.says(seat, used);
  }
  ASSERT_FALSE(run.held(seat).stopping);  // it works on to the end of its funding
  run.cluster.set_prices(a_book(100 * kHour));
  EXPECT_TRUE(run.held(seat).stopping);
  EXPECT_TRUE(run.cluster.facts<JobStateChanged>().empty());
  EXPECT_EQ(run.held(seat).device_price_per_hour, Money{kHour});
}

TEST(MoneyCuts, ASeatThatHasEndedIsNotToldToStopForARiseThatItNeverSaw) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(20 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(4'000));
  run.says(seat, Duration(3'000));
  run.cluster.set_prices(a_book(100 * kHour));  // nothing is cut yet: it has not said enough
  EXPECT_FALSE(run.held(seat).stopping);
  run.cluster.run_for(Duration(100));
  run.cluster.end(seat, Duration(3'400));
  EXPECT_TRUE(run.cluster.all<StopSeat>().empty());
  EXPECT_TRUE(run.cluster.facts<SeatStopping>().empty());
  EXPECT_EQ(rounded(run.cluster.job(id).charged), Money{3'400});
}

TEST(MoneyCuts, APriceIsSetAtMostSixteenTimesAheadOfWhatWorkersSay) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  for (std::int64_t i = 1; i <= 17; ++i) {
    run.cluster.run_for(Duration(1'000));
    run.cluster.beat(run.worker);  // it lives, and says nothing of the seat
    run.cluster.set_prices(a_book(kHour + i));
    EXPECT_EQ(run.cluster.last<Reply>().status.code, i <= 16 ? Code::kOk : Code::kUnavailable);
  }
  EXPECT_EQ(run.cluster.state().earlier_prices.size(), 16U);
  run.says(seat, Duration(17'000));
  EXPECT_TRUE(run.cluster.state().earlier_prices.empty());
  EXPECT_EQ(run.held(seat).used_charged, Duration(16'000));
  run.cluster.set_prices(a_book(2 * kHour));
  EXPECT_EQ(run.cluster.last<Reply>().status.code, Code::kOk);
}

// Prices of spot machines: 1, then 3, then 1 again; of others always 2.
struct Dated {
  TestCluster cluster;
  Time rise, fall;
  WorkerId spot, steady;
  Dated() {
    rise = cluster.now + Duration(10'000);
    fall = cluster.now + Duration(20'000);
    ledger::PriceBook book;
    book.entries = {{Time{}, "cpu", "any", false, Money{2 * kHour}, {}},
                    {Time{}, "cpu", "any", true, Money{kHour}, {}},
                    {rise, "cpu", "any", true, Money{3 * kHour}, {}},
                    {fall, "cpu", "any", true, Money{kHour}, {}}};
    cluster.set_prices(book);
    spot = cluster.joined(a_worker().named("spot").on_spot().with_device(4 * kGiB, 4));
    steady = cluster.joined(a_worker().named("steady").with_device(4 * kGiB, 4));
  }
  // Both live; nobody says what a seat has used.
  void go_to(Time to) {
    while (cluster.now < to) {
      cluster.run_until(std::min(to, cluster.now + Duration(5'000)));
      cluster.beat(spot);
      cluster.beat(steady);
    }
  }
  [[nodiscard]] const Seat& only_seat(JobId id) const {
    return *cluster.state().find_seat(cluster.seat(id));
  }
};

TEST(MoneyCuts, ADatedPriceChoosesAndIsPaidFromItsInstantThoughAnOldSeatHasNotSpoken) {
  for (const bool old_seat : {false, true}) {
    Dated of;
    JobId first;
    if (old_seat) {
      first = of.cluster.submit(a_job().with_units(99).with_threads(1));
      ASSERT_EQ(of.only_seat(first).worker, of.spot);
      of.cluster.began(of.cluster.seat(first));
    }
    of.cluster.run_until(of.rise);
    const JobId dear = of.cluster.submit(a_job().with_threads(1));
    EXPECT_EQ(of.only_seat(dear).worker, of.steady);
    EXPECT_EQ(of.only_seat(dear).device_price_per_hour, Money{2 * kHour});
    of.go_to(of.fall - Duration(1));
    const JobId third = of.cluster.submit(a_job().with_threads(1));
    EXPECT_EQ(of.only_seat(third).worker, of.steady);
    of.cluster.run_until(of.fall);
    const JobId cheap = of.cluster.submit(a_job().with_threads(1));
    EXPECT_EQ(of.only_seat(cheap).worker, of.spot);
    EXPECT_EQ(of.only_seat(cheap).device_price_per_hour, Money{kHour});
    of.go_to(of.fall + Duration(5'000));
    const Worker& machine = of.cluster.worker(of.spot);
    if (!old_seat) {
      EXPECT_EQ(machine.slice_from, of.fall);
      continue;
    }
    EXPECT_LT(machine.slice_from, of.rise);  // what the seat used before is not known
    of.cluster.beat(of.spot, {{of.cluster.seat(first), Duration(25'000), {}, 0, false}});
    EXPECT_EQ(machine.slice_from, of.fall);
    EXPECT_EQ(rounded(of.cluster.job(first).charged).micros, (10'000 + 3 * 10'000) / 4);
    EXPECT_EQ(rounded(machine.total).micros, 10'000 + 3 * 10'000);
  }
}

TEST(MoneyCuts, AMachineIsCutWhenAllItsSeatsHaveSpoken) {
  Shop run;
  const JobId a = run.cluster.submit(a_job().with_units(9).with_threads(2));
  const JobId b = run.cluster.submit(a_job().with_units(9).with_threads(2));
  const SeatKey on_a = run.cluster.seat(a);
  const SeatKey on_b = run.cluster.seat(b);
  const Time start = run.cluster.now;
  run.cluster.began(on_a);
  run.cluster.began(on_b);
  run.cluster.run_for(Duration(4'000));
  run.cluster.set_prices(a_book(2 * kHour));
  run.says(on_a, Duration(4'000));
  const Worker& machine = run.cluster.worker(run.worker);
  EXPECT_EQ(machine.slice_from, start);
  EXPECT_EQ(run.held(on_a).used_charged, Duration(4'000));
  run.cluster.act(a, JobAction::kPause);
  run.cluster.run_for(Duration(1'000));
  run.cluster.end(on_a, Duration(5'000));  // its last second is of the next slice
  EXPECT_EQ(machine.slice_from, start);
  EXPECT_EQ(machine.jobs_later.size(), 1U);
  run.says(on_b, Duration(3'999));
  EXPECT_EQ(machine.slice_from, start);
  run.says(on_b, Duration(4'000));
  EXPECT_EQ(machine.slice_from, start + Duration(4'000));
  EXPECT_EQ(machine.jobs, charge_of(Money{4 * kSecond}));  // two halves of 4 s
  EXPECT_EQ(machine.total, machine.jobs);
  EXPECT_EQ(machine.jobs_in_slice, charge_of(Money{kSecond}));  // a second of a half at twice
  EXPECT_TRUE(machine.jobs_later.empty());
}

TEST(MoneyCuts, AMachineThatLeavesAtItsMinimumIsChargedOnce) {
  TestCluster cluster;
  ledger::PriceBook book = a_book(kHour);
  book.entries[0].minimum = Duration(10'000);
  cluster.set_prices(book);
  const WorkerId worker = cluster.joined(a_worker());
  cluster.run_for(Duration(10'000));
  cluster.act(worker, WorkerAction::kRemove);
  EXPECT_EQ(cluster.facts<MachineCharged>().size(), 1U);
  EXPECT_EQ(cluster.worker(worker).total, charge_of(Money{10 * kSecond}));
}

TEST(MoneyCuts, AMachineThatJoinsInTheInstantOfANewBookCostsWhatThatSays) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));
  const WorkerId worker = cluster.joined(a_worker());
  cluster.set_prices(a_book(5 * kHour));
  cluster.run_for(Duration(1'000));
  cluster.act(worker, WorkerAction::kRemove);
  EXPECT_EQ(cluster.worker(worker).total, charge_of(Money{5 * kSecond}));
  // One that leaves in the instant in which it came costs nothing, and keeps no old book.
  const WorkerId brief = cluster.joined(a_worker());
  cluster.act(brief, WorkerAction::kRemove);
  EXPECT_EQ(cluster.worker(brief).total, Charge{});
  cluster.join(a_worker().named("silent"));
  cluster.run_for(Duration(1'000));
  cluster.set_prices(a_book(kHour));
  EXPECT_TRUE(cluster.state().earlier_prices.empty());
}

TEST(MoneyCuts, ADateInANewBookCutsAMachineThatIsThereAlready) {
  Shop run;
  run.cluster.run_for(Duration(1'000));
  ledger::PriceBook book = a_book(kHour);
  const Time rise = run.cluster.now + Duration(3'000);
  book.entries.push_back({rise, "cpu", "any", false, Money{2 * kHour}, {}});
  run.cluster.set_prices(book);
  run.cluster.run_until(rise);
  EXPECT_EQ(run.cluster.worker(run.worker).slice_from, rise);
}

TEST(MoneyCuts, WhatAProjectsJobsCostIsTheProjects) {
  Shop run;
  for (int i = 0; i < 2; ++i) {
    const JobId id = run.cluster.submit(a_job());
    run.cluster.began(run.cluster.seat(id));
    run.cluster.land(run.cluster.seat(id), units(0, 1));
    run.cluster.run_for(Duration(2'000));
    run.cluster.end(run.cluster.seat(id), Duration(1'500));
  }
  EXPECT_EQ(run.cluster.state().projects.at("default").charged, charge_of(Money{3 * kSecond}));
}

TEST(MoneyCuts, AMachineThatLeavesInTheInstantOfANewPricePaysItForNoTime) {
  Shop run;
  run.cluster.run_for(Duration(3'000));
  run.cluster.set_prices(a_book(7 * kHour));
  run.cluster.act(run.worker, WorkerAction::kRemove);
  EXPECT_EQ(run.cluster.worker(run.worker).total, charge_of(Money{3 * kSecond}));
  EXPECT_EQ(run.cluster.worker(run.worker).lost, Charge{});
  // Gone is gone: a later price does not wake anybody for it.
  run.cluster.run_for(Duration(1'000));
  run.cluster.set_prices(a_book(kHour));
  EXPECT_TRUE(run.cluster.facts<MachineCharged>().empty());
  EXPECT_FALSE(run.cluster.out.next_wakeup);
}

TEST(MoneyCuts, OneThatNeverConnectedIsChargedFromItsJoiningAtThePricesOfItsTime) {
  TestCluster cluster;
  ledger::PriceBook book = a_book(kHour);
  const Time rise = cluster.now + Duration(5'000);
  book.entries.push_back({rise, "cpu", "any", false, Money{2 * kHour}, {}});
  cluster.set_prices(book);
  const WorkerId worker = cluster.join(a_worker());
  cluster.run_for(Duration(8'000));
  cluster.hello(worker, a_worker());
  cluster.run_for(Duration(2'000));
  cluster.act(worker, WorkerAction::kRemove);
  EXPECT_EQ(rounded(cluster.worker(worker).total), Money{5'000 + 2 * 5'000});
}

}  // namespace
}  // namespace overwinter::core::test
