#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

using ledger::Charge;
using ledger::charge_for;
using ledger::charge_of;
using ledger::rounded;

TEST(Money, ABillIsUseTimesPriceTimesShare) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(10).with_threads(1).with_memory(2 * kGiB));
  const SeatKey seat = run.cluster.seat(id);
  EXPECT_EQ(run.cluster.state().find_seat(seat)->share_ppm, 500'000U);  // half the memory
  run.cluster.began(seat);
  run.cluster.run_for(Duration(10'000));
  run.cluster.beat(run.worker, {{seat, Duration(9'990), {}, 0, false}});
  run.cluster.run_for(Duration(10'000));
  run.cluster.end(seat, Duration(19'000));
  EXPECT_EQ(rounded(run.cluster.job(id).charged), Money{19 * kSecond / 2});
}

TEST(Money, ACapWorthTenSecondsIsUsedToAHalfAndNeverPassed) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000'000).with_cap(10 * kSecond));
  run.work_until_it_ends(id, Duration(60'000));
  const Job& job = run.cluster.job(id);
  EXPECT_EQ(job.state, JobState::kPaused);
  EXPECT_EQ(job.cause, Cause::kBudget);
  EXPECT_LE(job.charged, charge_of(Money{10 * kSecond}));
  EXPECT_GE(job.charged, charge_of(Money{5 * kSecond}));
  EXPECT_NE(job.reason.find("overwinter jobs update " + job.name + " --cap"), std::string::npos);
  EXPECT_NE(job.reason.find("overwinter jobs resume " + job.name), std::string::npos);
  EXPECT_EQ(job.reserved, Charge{});
}

TEST(Money, AJobThatItsCapStopsSaysWhatIsSpentAndWhatItsLastSeatsMayYetSpend) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  for (int ms = 0; run.cluster.job(id).state != JobState::kStopping; ms += 100) {
    ASSERT_LT(ms, 10'000);
    run.cluster.run_for(Duration(100));
    run.cluster.beat(run.worker, {{seat, Duration(ms), {}, 0, false}});
  }
  const Job& job = run.cluster.job(id);
  ASSERT_GT(job.reserved, Charge{});
  const std::string aside = format_money(rounded(job.reserved)) + " USD set aside";
  EXPECT_NE(job.reason.find(aside), std::string::npos) << job.reason;
}

TEST(Money, RaisingTheCapLetsResumeGoOn) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000'000).with_cap(10 * kSecond));
  run.work_until_it_ends(id, Duration(60'000));
  run.cluster.act(id, JobAction::kResume);
  EXPECT_EQ(run.cluster.last<Reply>().status.code, Code::kFailedPrecondition);
  run.cluster.step(JobUpdateRequested{admin(), ReplyId(4), id, Money{40 * kSecond}, {}});
  EXPECT_TRUE(run.cluster.last<Reply>().status.ok());
  run.cluster.act(id, JobAction::kResume);
  EXPECT_TRUE(run.cluster.last<Reply>().status.ok());
  EXPECT_EQ(run.cluster.job(id).state, JobState::kStarting);
  EXPECT_EQ(run.cluster.job(id).attempt, 2U);
  run.work_until_it_ends(id, Duration(120'000));
  EXPECT_EQ(run.cluster.job(id).state, JobState::kPaused);
  EXPECT_GE(run.cluster.job(id).charged, charge_of(Money{20 * kSecond}));
}

TEST(Money, ACapThatFundsNothingIsRefusedWithTheLeastThatWould) {
  Shop run;
  run.cluster.step(a_job().with_cap(2 * kSecond - 1).build());
  const Status refused = run.cluster.last<Reply>().status;
  EXPECT_EQ(refused.code, Code::kFailedPrecondition);
  EXPECT_NE(refused.message.find(format_money(Money{2 * kSecond})), std::string::npos)
      << refused.message;
  EXPECT_TRUE(run.cluster.out.facts.empty());
  EXPECT_TRUE(run.cluster.submit(a_job().with_cap(2 * kSecond)).valid());
}

TEST(Money, ACapHoldsWhenTheCoordinatorIsDown) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  const Duration funded = run.cluster.state().find_seat(seat)->funded_for;
  run.cluster.now += Duration(600'000);  // nobody hears of it meanwhile
  run.cluster.restart();
  run.cluster.hello(run.worker, a_worker(), 1, {}, 2);
  run.cluster.end(seat, Duration(590'000),
                  SeatEnd::kFundsEnded);  // it claims more than it was funded for
  EXPECT_EQ(run.cluster.job(id).charged, charge_for(Money{kHour}, funded, 1'000'000));
}

TEST(Money, ALostWorkersSeatIsBilledToTheLastEvidenceOfLife) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(10));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(5'000));
  run.cluster.beat(run.worker, {{seat, Duration(4'000), {}, 0, false}});
  run.cluster.run_for(Duration(100'000));
  EXPECT_EQ(run.cluster.worker(run.worker).state, WorkerState::kLost);
  EXPECT_EQ(rounded(run.cluster.job(id).charged), Money{4 * kSecond});
  EXPECT_EQ(run.cluster.job(id).state, JobState::kQueued);
}

TEST(Money, MachinesAreJobsAndIdleAndLost) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(3'000));
  run.cluster.beat(run.worker, {{seat, Duration(3'000), {}, 0, false}});
  run.cluster.land(seat, units(0, 1));
  run.cluster.end(seat, Duration(3'000));
  const Time joined = run.cluster.worker(run.worker).registered_at;
  run.cluster.run_for(Duration(100'000));  // lost after 15 s of silence
  const Time lost = run.cluster.worker(run.worker).state_at;
  run.cluster.hello(run.worker, a_worker());
  const Time back = run.cluster.now;
  run.cluster.run_for(Duration(1'000));
  run.cluster.act(run.worker, WorkerAction::kRemove);
  const Worker& removed = run.cluster.worker(run.worker);
  EXPECT_EQ(removed.state, WorkerState::kRemoved);
  EXPECT_EQ(run.cluster.all<EndPrincipal>().size(), 1U);
  EXPECT_EQ(removed.total, charge_for(Money{kHour}, run.cluster.now - joined, 1'000'000));
  EXPECT_EQ(removed.jobs, run.cluster.job(id).charged);
  EXPECT_EQ(removed.lost, charge_for(Money{kHour}, back - lost, 1'000'000));
  EXPECT_GE(removed.total - removed.jobs - removed.lost, Charge{});
  run.cluster.run_for(Duration(100'000));
  EXPECT_EQ(run.cluster.worker(run.worker).total, removed.total);
}

TEST(Money, ANewPriceCutsTheSliceAndTheOldKeepsItsPrice) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(10));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(4'000));
  run.cluster.beat(run.worker, {{seat, Duration(4'000), {}, 0, false}});
  run.cluster.set_prices(a_book(3 * kHour));
  EXPECT_EQ(run.cluster.facts<UsageCharged>().at(0).used, Duration(4'000));
  run.cluster.run_for(Duration(2'000));
  run.cluster.end(seat, Duration(6'000));
  EXPECT_EQ(rounded(run.cluster.job(id).charged), Money{(4 + 2 * 3) * kSecond});
  const Worker& worker = run.cluster.worker(run.worker);
  EXPECT_EQ(worker.total, charge_for(Money{kHour}, Duration(4'000), 1'000'000));
  EXPECT_EQ(worker.jobs, worker.total);
}

// Found by seed 14548: nothing is to be cut then, and the seat went on at the old price.
TEST(Money, ASeatThatIsGrantedInTheInstantOfANewBookPaysItsPrice) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(10));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.set_prices(a_book(kHour / 4));
  const Seat& held = *run.cluster.state().find_seat(seat);
  EXPECT_EQ(held.device_price_per_hour, Money{kHour / 4});
  EXPECT_EQ(held.reserved, charge_for(Money{kHour / 4}, held.funded_for, 1'000'000));
  run.cluster.began(seat);
  run.cluster.run_for(Duration(4'000));
  run.cluster.end(seat, Duration(4'000));
  EXPECT_EQ(rounded(run.cluster.job(id).charged), Money{kSecond});
  run.cluster.act(run.worker, WorkerAction::kRemove);
  run.cluster.end(run.cluster.seat(id), Duration(0));
  const Worker& removed = run.cluster.worker(run.worker);
  EXPECT_EQ(removed.state, WorkerState::kRemoved);
  EXPECT_EQ(removed.jobs, run.cluster.job(id).charged);
  EXPECT_GE(removed.total - removed.jobs - removed.lost, Charge{});
}

TEST(Money, ASeatThatEndedBeforeTheNewPriceIsBilledWhatItReports) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(10));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(4'000));
  run.cluster.beat(run.worker, {{seat, Duration(3'000), {}, 0, false}});
  run.cluster.set_prices(a_book(3 * kHour));  // its last word is under way: nothing is cut yet
  EXPECT_EQ(run.cluster.state().find_seat(seat)->used_charged, Duration(0));
  EXPECT_EQ(run.cluster.state().earlier_prices.size(), 1U);
  run.cluster.run_for(Duration(100));
  run.cluster.end(seat, Duration(3'400));
  EXPECT_EQ(rounded(run.cluster.job(id).charged), Money{3'400 * kSecond / 1000});
  const Worker& worker = run.cluster.worker(run.worker);
  EXPECT_EQ(worker.total, charge_for(Money{kHour}, Duration(4'000), 1'000'000));
  EXPECT_EQ(worker.jobs, run.cluster.job(id).charged);
  EXPECT_TRUE(run.cluster.state().earlier_prices.empty());
}

TEST(Money, ADatedPriceCutsAtItsInstantByTheNextSignOfLife) {
  TestCluster cluster;
  ledger::PriceBook book = a_book(kHour);
  const Time change = cluster.now + Duration(10'500);
  book.entries.push_back({change, "cpu", "any", false, Money{2 * kHour}, {}});
  cluster.set_prices(book);
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(10));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  for (int second = 1; second <= 20; ++second) {
    cluster.run_for(Duration(1'000));
    cluster.beat(worker, {{seat, Duration(1'000 * second), {}, 0, false}});
  }
  cluster.end(seat, Duration(20'000));
  std::vector<UsageCharged> slices;
  for (const auto& [time, fact] : cluster.log) {
    if (const auto* slice = std::get_if<UsageCharged>(&fact)) slices.push_back(*slice);
  }
  ASSERT_EQ(slices.size(), 2U);
  EXPECT_EQ(slices[0].to, change);
  EXPECT_EQ(slices[0].used, Duration(10'500));
  EXPECT_EQ(slices[1].used, Duration(9'500));
  EXPECT_EQ(slices[1].device_price_per_hour, Money{2 * kHour});
  EXPECT_EQ(rounded(cluster.job(id).charged), Money{10'500 + 2 * 9'500});
}

TEST(Money, TheEndOfAMonthCutsMachinesToo) {
  TestCluster cluster;
  cluster.now = next_month_start(cluster.now) - Duration(5'000);
  const Time month = cluster.now + Duration(5'000);
  cluster.set_prices(a_book(kHour));
  const WorkerId worker = cluster.joined(a_worker());
  cluster.run_for(Duration(6'000));
  EXPECT_EQ(cluster.worker(worker).slice_from, month);
  EXPECT_EQ(cluster.worker(worker).total, charge_for(Money{kHour}, Duration(5'000), 1'000'000));
}

TEST(Money, ARiseThatTheCapDoesNotCoverStopsTheSeatAtItsOldPrice) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(1'000'000).with_cap(10 * kSecond));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  run.cluster.run_for(Duration(1'000));
  run.cluster.beat(run.worker, {{seat, Duration(1'000), {}, 0, false}});
  run.cluster.set_prices(a_book(100 * kHour));
  EXPECT_EQ(run.cluster.all<StopSeat>().size(), 1U);
  run.check();
  run.cluster.run_for(Duration(1'000));
  run.cluster.end(seat, Duration(2'000));
  EXPECT_EQ(run.cluster.job(id).state, JobState::kPaused);
  EXPECT_EQ(rounded(run.cluster.job(id).charged), Money{2 * kSecond});
}

TEST(Money, ARiseWhileASeatStopsForADrainDoesNotTouchItsJob) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));
  const WorkerId a = cluster.joined(a_worker().named("a"));
  const WorkerId b = cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(1'000).with_seats(1, 2));
  const SeatKey on_a = cluster.seat(id, 0);
  ASSERT_EQ(cluster.state().find_seat(on_a)->worker, a);
  cluster.began(on_a);
  cluster.began(cluster.seat(id, 1));
  cluster.run_for(Duration(4'000));
  cluster.beat(a, {{on_a, Duration(4'000), {}, 0, false}});
  cluster.beat(b);
  cluster.act(a, WorkerAction::kDrain);
  cluster.set_prices(a_book(2 * kHour));
  EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
  EXPECT_EQ(cluster.job(id).cause, Cause::kNone);
  EXPECT_TRUE(cluster.all<StopSeat>().empty());
  EXPECT_EQ(cluster.state().find_seat(on_a)->stop_cause, Cause::kDrain);
  EXPECT_EQ(cluster.state().find_seat(on_a)->device_price_per_hour, Money{kHour});
  cluster.run_for(Duration(500));
  cluster.end(on_a, Duration(4'500));
  EXPECT_EQ(rounded(cluster.job(id).charged), Money{4'500});
}

TEST(Money, AMachinesOwnPriceIsSpreadInTheBooksProportions) {
  TestCluster cluster;
  ledger::PriceBook book = a_book(1'000'000);
  book.entries.push_back({Time{}, "H100", "any", false, Money{3'000'000}, {}});
  cluster.set_prices(book);
  const WorkerId worker = cluster.joined(
      a_worker().with_device(kGiB, 1).with_device(kGiB, 1, "H100").with_price(1'890'001));
  const std::vector<Money> prices = cluster.worker(worker).device_prices;
  EXPECT_EQ(prices[0], Money{472'500});
  EXPECT_EQ(prices[1], Money{1'417'501});
  EXPECT_EQ(machine_price(cluster.worker(worker)), Money{1'890'001});
}

TEST(Money, AnUncappedSeatHasAnOrphanLimitRenewedAtHalf) {
  Shop run;
  const JobId id = run.cluster.submit(a_job().with_units(10));
  const SeatKey seat = run.cluster.seat(id);
  run.cluster.began(seat);
  const Duration day = std::chrono::hours(24);
  EXPECT_EQ(run.cluster.state().find_seat(seat)->funded_for, day);
  Duration used{0};
  while (used < std::chrono::hours(13)) {
    run.cluster.run_for(Duration(10'000));
    used += Duration(10'000);
    run.cluster.beat(run.worker, {{seat, used, {}, 0, false}});
  }
  EXPECT_GT(run.cluster.state().find_seat(seat)->funded_for, day);
  EXPECT_LE(run.cluster.state().find_seat(seat)->funded_for, 2 * day);
}

}  // namespace
}  // namespace overwinter::core::test
