// What was spent hour by hour, against sums of prices and times that are made here by hand.
#include "coordinator/runtime/spend.h"

#include <gtest/gtest.h>

#include "coordinator/runtime/snapshot.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::runtime {
namespace {

using namespace core::test;

constexpr std::int64_t kPrice = 3'600'000;  // micro-units an hour: one a millisecond
constexpr Duration kHour = std::chrono::hours(1);

class SpendTest : public testing::Test {
 protected:
  void look(const core::Scheduler& at) {
    views_.emplace(1);
    views_->apply(snapshot_all(at, cluster_.now));
  }
  void restart() {
    stored_.save();
    stored_.reopen();
    look(stored_.scheduler());
  }
  Spend spend(bool machines, Time now, const std::string& project = "") {
    auto out = spend_by_hour(*views_, stored_.store(), machines, project, now);
    EXPECT_TRUE(out) << out.error().message;
    return *out;
  }
  static std::int64_t sum(const Spend& spend, ledger::Charge SpendHour::*kind) {
    ledger::Charge all;
    for (const SpendHour& hour : spend.hours) all += hour.*kind;
    return ledger::rounded(all).micros;
  }

  test::StoredCluster stored_;
  TestCluster& cluster_ = stored_.cluster;
  std::optional<Views> views_;
};

TEST_F(SpendTest, AnIdleMachineCostsTheSameInEachWholeHour) {
  cluster_.set_prices(a_book(kPrice));
  cluster_.joined(a_worker());
  restart();
  const Time later = cluster_.now + std::chrono::hours(30);
  const Spend out = spend(true, later);
  ASSERT_EQ(out.hours.size(), kSpendHours);
  EXPECT_TRUE(out.complete);
  EXPECT_EQ(out.from.time_since_epoch() % kHour, Duration(0));
  EXPECT_LE(out.from + kHour * 23, later);
  EXPECT_GT(out.from + kHour * 24, later);
  for (std::size_t i = 0; i < 23; ++i) {
    EXPECT_EQ(ledger::rounded(out.hours[i].idle).micros, 3'600'000) << i;
    EXPECT_EQ(out.hours[i].useful, ledger::Charge{});
  }
  EXPECT_EQ(ledger::rounded(out.hours[23].idle).micros, (later - out.from - kHour * 23).count());
  // Of jobs alone there was nothing.
  EXPECT_EQ(sum(spend(false, later), &SpendHour::idle), 0);
}

TEST_F(SpendTest, JobsAreWhatTheyPaidWhenTheyPaidItAndTheRestIsIdle) {
  cluster_.set_prices(a_book(kPrice));
  cluster_.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
  const WorkerId worker = cluster_.joined(a_worker().with_device(4 * kGiB, 4));
  const Time joined = cluster_.now;
  const auto run = [&](const char* project, std::int64_t used_ms) {
    const JobId job =
        cluster_.submit(a_job().in(project).with_threads(4).with_landing(Landing::kReport));
    const SeatKey seat = cluster_.seat(job);
    cluster_.began(seat);
    cluster_.run_for(Duration(used_ms));
    cluster_.report(worker, core::UnitsReported{seat, units(0, 1)});
    if (cluster_.state().find_seat(seat) != nullptr) cluster_.end(seat, Duration(used_ms));
  };
  run("default", 4'000);
  cluster_.run_for(Duration(5'000));
  run("other", 7'000);
  restart();
  const Spend all = spend(true, cluster_.now);
  EXPECT_EQ(sum(all, &SpendHour::useful), 11'000);
  EXPECT_EQ(sum(all, &SpendHour::redone), 0);
  EXPECT_EQ(sum(all, &SpendHour::useful) + sum(all, &SpendHour::idle),
            (cluster_.now - joined).count());
  EXPECT_EQ(sum(spend(false, cluster_.now, "default"), &SpendHour::useful), 4'000);
  EXPECT_EQ(sum(spend(false, cluster_.now, "other"), &SpendHour::useful), 7'000);
  EXPECT_EQ(sum(spend(false, cluster_.now, "other"), &SpendHour::idle), 0);
  // Two days later it has left the chart.
  EXPECT_EQ(sum(spend(true, cluster_.now + std::chrono::hours(48)), &SpendHour::useful), 0);
}

TEST_F(SpendTest, WhatAJobUsesNowIsThere) {
  cluster_.set_prices(a_book(kPrice));
  const WorkerId worker = cluster_.joined(a_worker().with_device(4 * kGiB, 4));
  const Time joined = cluster_.now;
  const JobId job = cluster_.submit(a_job().with_threads(4));
  cluster_.began(cluster_.seat(job));
  cluster_.run_for(Duration(4'000));
  core::SeatStatus status;
  status.seat = cluster_.seat(job);
  status.used = Duration(4'000);
  cluster_.beat(worker, {status});
  stored_.save();
  look(cluster_.scheduler());
  const Spend all = spend(true, cluster_.now);
  EXPECT_EQ(sum(all, &SpendHour::useful), 4'000);
  EXPECT_EQ(sum(all, &SpendHour::useful) + sum(all, &SpendHour::idle),
            (cluster_.now - joined).count());
}

TEST_F(SpendTest, AGangWaitsBeforeItWorksAndLosesWhatItDidLast) {
  cluster_.set_prices(a_book(kPrice));
  const WorkerId worker = cluster_.joined(a_worker().on_network("10.0.0.0/24"));
  const JobId job = cluster_.submit(a_job().as_gang(1, 1).with_memory(4 * kGiB));
  const auto attempt = [&](std::int64_t waits_ms, std::int64_t works_ms, core::SeatEnd how) {
    const SeatKey seat = cluster_.seat(job);
    cluster_.run_for(Duration(waits_ms));
    cluster_.report(worker, core::SeatPrepared{seat});
    cluster_.began(seat);
    cluster_.run_for(Duration(works_ms));
    core::SeatEnded ended;
    ended.seat = seat;
    ended.end = how;
    ended.used = Duration(waits_ms + works_ms);
    ended.exit.step = 5;  // it did something: it is tried again
    cluster_.report(worker, ended);
  };
  attempt(3'000, 4'000, core::SeatEnd::kFailed);
  attempt(1'000, 6'000, core::SeatEnd::kCompleted);
  ASSERT_EQ(cluster_.job(job).state, core::JobState::kSucceeded);
  restart();
  const Spend all = spend(false, cluster_.now);
  EXPECT_EQ(sum(all, &SpendHour::waiting), 4'000);
  EXPECT_EQ(sum(all, &SpendHour::redone), 4'000);
  EXPECT_EQ(sum(all, &SpendHour::useful), 6'000);
  // Half a day later, and when it had begun before the chart does: what it waited is not seen.
  EXPECT_EQ(sum(spend(false, cluster_.now + std::chrono::hours(12)), &SpendHour::waiting), 4'000);
  EXPECT_EQ(sum(spend(false, cluster_.now + std::chrono::hours(48)), &SpendHour::waiting), 0);
}

}  // namespace
}  // namespace overwinter::runtime
