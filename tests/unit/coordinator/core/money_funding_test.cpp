// How long a seat is paid for, when that is renewed, and what ends one that goes on without.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

using ledger::Charge;
using ledger::charge_for;
using ledger::charge_of;

// (time, fact) of each fact of this kind so far.
template <class F>
std::vector<std::pair<Time, F>> logged(const TestCluster& cluster) {
  std::vector<std::pair<Time, F>> found;
  for (const auto& [time, fact] : cluster.log) {
    if (const F* f = std::get_if<F>(&fact)) found.emplace_back(time, *f);
  }
  return found;
}

TEST(MoneyFunding, ACapOnAMachineThatCostsNothingFundsTheLongestSlice) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_cap(1));
  const Seat& seat = *cluster.state().find_seat(cluster.seat(id));
  EXPECT_EQ(seat.funded_for, Duration(61'000));  // and a second to stop
  EXPECT_EQ(seat.reserved, Charge{});
}

TEST(MoneyFunding, WithoutACapASeatIsAlwaysFundedForItsWayToStop) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const Duration two_days = std::chrono::hours(48);
  const JobId id = cluster.submit(a_job().with_stop_time(two_days));
  EXPECT_EQ(cluster.state().find_seat(cluster.seat(id))->funded_for, two_days + Duration(1'000));
}

TEST(MoneyFunding, AJobThatCannotPayForWhatIsFreeWaitsForMoney) {
  TestCluster cluster;
  const WorkerId cheap = cluster.joined(a_worker().named("cheap").with_price(3'600'000));
  const JobId first = cluster.submit(a_job().with_memory(4 * kGiB));
  cluster.began(cluster.seat(first));
  cluster.joined(a_worker().named("dear").with_price(3'600'000'000));
  // Worth a minute of the cheap one, and less than the least on the dear one.
  const JobId poor = cluster.submit(a_job().with_memory(4 * kGiB).with_cap(60'000));
  EXPECT_EQ(cluster.job(poor).state, JobState::kQueued);
  EXPECT_TRUE(cluster.soft().jobs.at(poor).unfunded);
  EXPECT_NE(std::find(cluster.out.jobs_touched.begin(), cluster.out.jobs_touched.end(), poor),
            cluster.out.jobs_touched.end());
  cluster.act(first, JobAction::kCancel);
  cluster.end(cluster.seat(first), Duration(0));
  ASSERT_EQ(cluster.job(poor).seats.size(), 1U);
  EXPECT_EQ(cluster.state().find_seat(cluster.seat(poor))->worker, cheap);
  EXPECT_FALSE(cluster.soft().jobs.at(poor).unfunded);
}

TEST(MoneyFunding, ACapThatIsJustEnoughStartsTheJobAndIsAllReserved) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_cap(2 * kSecond));
  ASSERT_EQ(run.cluster.job(id).state, JobState::kStarting);
  EXPECT_EQ(run.held(run.cluster.seat(id)).funded_for, Duration(2'000));
  EXPECT_EQ(run.cluster.job(id).reserved, charge_of(Money{2 * kSecond}));
}

TEST(MoneyFunding, ASecondSeatIsAddedWhileTheCapFundsFourTimesTheLeast) {
  const auto seats = [](std::int64_t cap) {
    Shop run;
    run.cluster.joined(a_worker().named("second"));
    const JobId id = run.cluster.submit(a_job().with_units(100).with_seats(1, 2).with_cap(cap));
    std::vector<Duration> funded;
    for (const auto& [number, seat] : run.cluster.job(id).seats) funded.push_back(seat.funded_for);
    return funded;
  };
  // The first takes half of what there is, the second a quarter of the rest, at the least 2 s.
  EXPECT_EQ(seats(80 * kSecond), (std::vector<Duration>{Duration(40'000), Duration(10'000)}));
  EXPECT_EQ(seats(16 * kSecond), (std::vector<Duration>{Duration(8'000), Duration(2'000)}));
  EXPECT_EQ(seats(16 * kSecond - 2), (std::vector<Duration>{Duration(7'999)}));
}

TEST(MoneyFunding, ASliceIsRenewedWhenHalfOfItIsUsedAndNotBefore) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(1'000 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  const Time granted = run.held(seat).granted_at;
  ASSERT_EQ(run.held(seat).funded_for, Duration(61'000));
  // Nothing wakes the coordinator before the worker may be lost.
  EXPECT_EQ(run.cluster.out.next_wakeup, run.cluster.now + Duration(15'000));
  run.cluster.began(seat);
  EXPECT_EQ(run.cluster.out.next_wakeup, run.cluster.now + Duration(15'000));
  run.work_until(seat, granted + Duration(31'000));
  auto funded = logged<SeatFunded>(run.cluster);
  ASSERT_EQ(funded.size(), 1U);
  EXPECT_EQ(funded[0].first, granted + Duration(30'000));
  EXPECT_EQ(funded[0].second.funded_for, Duration(121'000));
  EXPECT_EQ(run.held(seat).reserved, charge_for(Money{kHour}, Duration(121'000), 1'000'000));

  // A restart forgets when the slice began, not how long a slice is.
  run.work_until(seat, granted + Duration(50'000));
  run.cluster.restart();
  run.cluster.hello(run.worker, a_worker(), 1, {{seat, Duration(50'000), {}, 0, false}}, 1);
  run.work_until(seat, granted + Duration(100'000));
  funded = logged<SeatFunded>(run.cluster);
  ASSERT_EQ(funded.size(), 2U);
  EXPECT_EQ(funded[1].first, granted + Duration(90'000));
}

TEST(MoneyFunding, AWorkerThatUsesLessThanTimePassesIsRenewedByItsOwnWord) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(1'000 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  const Time granted = run.held(seat).granted_at;
  run.cluster.began(seat);
  run.work_until(seat, granted + Duration(61'000), [](Duration all) { return all / 2; });
  const auto funded = logged<SeatFunded>(run.cluster);
  ASSERT_EQ(funded.size(), 1U);
  EXPECT_GE(funded[0].first, granted + Duration(59'000));
}

TEST(MoneyFunding, ASeatThatIsToldToStopIsNotRenewed) {
  Shop run;
  const JobId id = run.cluster.submit(
      a_job().with_units(1'000).with_stop_time(Duration(60'000)).with_cap(1'000 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  const Time granted = run.held(seat).granted_at;
  run.cluster.began(seat);
  run.work_until(seat, granted + Duration(20'000));
  run.cluster.act(run.worker, WorkerAction::kDrain);
  run.work_until(seat, granted + Duration(60'000));
  ASSERT_NE(run.cluster.state().find_seat(seat), nullptr);
  EXPECT_EQ(run.cluster.job(id).state, JobState::kRunning);
  EXPECT_TRUE(logged<SeatFunded>(run.cluster).empty());
}

TEST(MoneyFunding, AnOfferThatIsNeverAnsweredEndsWithItsFunding) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  const Time granted = run.held(seat).granted_at;
  const Duration first = run.held(seat).funded_for;
  Duration funded = first;
  for (int i = 0; run.cluster.state().find_seat(seat) != nullptr; ++i) {
    ASSERT_LT(i, 100);
    funded = run.held(seat).funded_for;
    run.cluster.run_for(Duration(500));
    run.cluster.beat(run.worker);  // it lives, and has never heard of the seat
  }
  EXPECT_GT(funded, first);  // while it waited it was renewed
  const auto released = logged<SeatReleased>(run.cluster);
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released[0].first, granted + funded + Duration(5'000));
  EXPECT_EQ(released[0].second.end, SeatEnd::kLost);
  EXPECT_EQ(run.cluster.job(id).charged, Charge{});  // it used nothing
  EXPECT_EQ(run.cluster.job(id).state, JobState::kPaused);
  EXPECT_EQ(run.cluster.job(id).reason.find("set aside"), std::string::npos);
}

TEST(MoneyFunding, ASeatThatGoesOnBeyondItsFundingIsFenced) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  const Time granted = run.held(seat).granted_at;
  run.cluster.began(seat);
  Duration funded{0};
  for (int i = 0; run.cluster.state().find_seat(seat) != nullptr; ++i) {
    ASSERT_LT(i, 100);
    funded = run.held(seat).funded_for;
    run.work_until(seat, run.cluster.now + Duration(500));
  }
  const auto released = logged<SeatReleased>(run.cluster);
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released[0].first, granted + funded + Duration(5'000));
  EXPECT_EQ(run.cluster.job(id).charged, charge_for(Money{kHour}, funded, 1'000'000));
}

TEST(MoneyFunding, ASeatThatHasNotUsedItsFundingMayGoOnHoweverLongItTakes) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  const auto half = [](Duration all) { return all / 2; };
  run.work_until(seat, run.cluster.now + Duration(17'000), half);
  ASSERT_NE(run.cluster.state().find_seat(seat), nullptr);
  EXPECT_EQ(run.cluster.job(id).cause, Cause::kBudget);
  const Duration funded = run.held(seat).funded_for;
  EXPECT_GE(run.cluster.now - run.held(seat).granted_at, funded + Duration(5'000));
  run.work_until(seat, run.cluster.now + Duration(30'000), half);
  EXPECT_EQ(run.cluster.state().find_seat(seat), nullptr);  // now it has, and did not end
  EXPECT_EQ(run.cluster.job(id).charged, charge_for(Money{kHour}, funded, 1'000'000));
}

// After a restart nothing is known of a seat but the facts.
TEST(MoneyFunding, ASeatWhoseWorkerNeverReturnsIsBilledToItsLastFact) {
  for (const bool other_returns : {false, true}) {
    Shop run;
    const WorkerId second = run.cluster.joined(a_worker().named("second"));
    const JobId id = run.cluster.submit(a_job().with_units(100).with_seats(2, 2));
    const SeatKey seat = run.cluster.seat(id, 0);
    const SeatKey other = run.cluster.seat(id, 1);
    ASSERT_EQ(run.held(other).worker, second);
    run.cluster.began(seat);
    run.cluster.began(other);
    run.cluster.run_for(Duration(5'000));
    run.cluster.land(seat, units(0, 1));
    run.cluster.run_for(Duration(3'000));
    run.cluster.restart();
    if (other_returns) {
      run.cluster.hello(second, a_worker(), 1, {{other, Duration(7'000), {}, 0, false}}, 1);
    }
    run.cluster.run_for(Duration(100'000));
    ASSERT_EQ(run.cluster.worker(run.worker).state, WorkerState::kLost);
    const auto charged = logged<UsageCharged>(run.cluster);
    ASSERT_EQ(charged.size(), 2U);
    EXPECT_EQ(charged[0].second.seat, seat);
    EXPECT_EQ(charged[0].second.used, Duration(5'000));
    EXPECT_EQ(charged[1].second.used, Duration(other_returns ? 7'000 : 0));
    EXPECT_EQ(run.cluster.job(id).memory_peak_bytes, 0U);
  }
}

}  // namespace
}  // namespace overwinter::core::test
