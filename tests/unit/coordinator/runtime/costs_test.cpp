// Bills against sums of prices and times that are made here by hand.
#include "coordinator/runtime/costs.h"

#include <gtest/gtest.h>

#include <set>

#include "coordinator/runtime/snapshot.h"
#include "tests/support/stored_cluster.h"

namespace overwinter::runtime {
namespace {

using namespace core::test;

constexpr std::int64_t kPrice = 3'600'000;  // micro-units an hour: one a millisecond

class CostsTest : public testing::Test {
 protected:
  // The views and bills of a coordinator that starts on what is stored.
  void restart() {
    stored_.save();
    stored_.reopen();
    views_.emplace(1);
    views_->apply(snapshot_all(stored_.scheduler(), cluster_.now));
    costs_.emplace(*views_, stored_.store());
  }
  v1::ClusterStatus status(bool machines, Time now, const std::string& project = "") {
    v1::ClusterStatus out;
    const Status done = costs_->fill_status(machines, project, now, out);
    EXPECT_TRUE(done.ok()) << done.message;
    return out;
  }

  // A gang of two whole machines that are there already: `waits` until it is up, then `works`.
  JobId run_gang(Duration waits, Duration works, core::SeatEnd end) {
    const JobId id = cluster_.submit(a_job().as_gang(2, 2).with_memory(4 * kGiB));
    const Time began = cluster_.now;
    const auto live_for = [&](Duration time, GangPhase phase) {
      for (Duration t{0}; t < time; t += Duration(1000)) {
        cluster_.run_for(Duration(1000));
        for (const SeatKey key : {cluster_.seat(id, 0), cluster_.seat(id, 1)}) {
          core::SeatStatus status;
          status.seat = key;
          status.used = cluster_.now - began;
          status.phase = phase;
          cluster_.beat(cluster_.state().find_seat(key)->worker, {status});
        }
      }
    };
    live_for(waits, GangPhase::kPreparing);
    for (const std::size_t rank : {0U, 1U}) {
      const SeatKey key = cluster_.seat(id, rank);
      cluster_.report(cluster_.state().find_seat(key)->worker, core::SeatPrepared{key});
    }
    for (const std::size_t rank : {0U, 1U}) cluster_.began(cluster_.seat(id, rank));
    live_for(works, GangPhase::kUp);
    for (int i = 0; i < 2; ++i) {
      cluster_.end(cluster_.seat(id), cluster_.now - began, end);
    }
    EXPECT_TRUE(cluster_.job(id).terminal());
    return id;
  }
  void join_two() {
    for (const char* name : {"a", "b"}) {
      cluster_.joined(a_worker().named(name).on_network("10.0.0.0/24"));
    }
  }

  test::StoredCluster stored_;
  TestCluster& cluster_ = stored_.cluster;
  std::optional<Views> views_;
  std::optional<Costs> costs_;
};

TEST_F(CostsTest, TodaysMachinesAreThoseOfBeforeARestartToo) {
  cluster_.set_prices(a_book(kPrice));
  const WorkerId gone = cluster_.joined(a_worker().named("gone"));
  cluster_.joined(a_worker().named("stays"));
  cluster_.run_for(Duration(1'000'000));
  cluster_.act(gone, core::WorkerAction::kRemove);
  cluster_.run_for(Duration(500'000));
  restart();
  // One second of a machine costs 1,000 micro-units.
  EXPECT_EQ(status(true, cluster_.now).cost_today().amount_micros(), 1'000'000 + 1'500'000);
  EXPECT_EQ(status(true, cluster_.now).cost_month().amount_micros(), 2'500'000);
  // A day later, and nothing happened: the one that stays, since midnight.
  const Time later = cluster_.now + std::chrono::days(1);
  const Time midnight = Time(std::chrono::floor<std::chrono::days>(later.time_since_epoch()));
  EXPECT_EQ(status(true, later).cost_today().amount_micros(), (later - midnight).count());
  EXPECT_EQ(status(true, later).cost_month().amount_micros(), 2'500'000 + 86'400'000);
}

TEST_F(CostsTest, TodaysJobsAreTheProjects) {
  cluster_.set_prices(a_book(kPrice));
  cluster_.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
  const WorkerId worker = cluster_.joined(a_worker().with_device(4 * kGiB, 4));
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
  run("other", 7'000);
  restart();
  EXPECT_EQ(status(false, cluster_.now, "default").cost_today().amount_micros(), 4'000);
  EXPECT_EQ(status(false, cluster_.now, "other").cost_today().amount_micros(), 7'000);
  EXPECT_EQ(status(false, cluster_.now).cost_today().amount_micros(), 11'000);
  EXPECT_EQ(status(false, cluster_.now + std::chrono::days(1)).cost_today().amount_micros(), 0);
}

TEST_F(CostsTest, WasteIsThePartOfTheMonthThatWasDoneAgainOrWaited) {
  cluster_.set_prices(a_book(kPrice));
  cluster_.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
  join_two();
  restart();
  EXPECT_FALSE(status(false, cluster_.now).has_waste_fraction_month()) << "nothing was charged";
  run_gang(Duration(3000), Duration(4000), core::SeatEnd::kFailed);
  run_gang(Duration(2000), Duration(11'000), core::SeatEnd::kCompleted);
  restart();
  // 2 x 7 s all in vain, and 2 x 2 s of 2 x 13 s that waited.
  for (const bool machines : {true, false}) {
    EXPECT_NEAR(status(machines, cluster_.now).waste_fraction_month(), 18.0 / 40, 1e-9);
  }
  EXPECT_NEAR(status(false, cluster_.now, "default").waste_fraction_month(), 18.0 / 40, 1e-9);
  EXPECT_FALSE(status(false, cluster_.now, "other").has_waste_fraction_month());
  EXPECT_FALSE(status(false, cluster_.now + std::chrono::days(30)).has_waste_fraction_month());
}

TEST_F(CostsTest, WhatWaitedOverTheEndOfAMonthIsOfBoth) {
  cluster_.set_prices(a_book(kPrice));
  join_two();
  cluster_.run_until(parse_time("2026-11-30T23:59:58Z").value());
  cluster_.step(core::TimerFired{});
  std::uint64_t incarnation = 1;
  for (const auto& [id, worker] : std::map(cluster_.state().workers)) {
    cluster_.hello(id, a_worker().named(worker.name).on_network("10.0.0.0/24"), ++incarnation);
  }
  const Time november = cluster_.now;
  run_gang(Duration(4000), Duration(4000), core::SeatEnd::kCompleted);
  restart();
  EXPECT_NEAR(status(false, november).waste_fraction_month(), 1.0, 1e-9);
  EXPECT_NEAR(status(false, cluster_.now).waste_fraction_month(), 4000.0 / 12'000, 1e-9);
}

TEST_F(CostsTest, ALongListComesInPagesThatSumToItsTotal) {
  constexpr std::uint64_t kJobs = 2'345;
  std::vector<core::Fact> facts{core::ProjectCreated{"a", 1}, core::ProjectCreated{"b", 1}};
  for (std::uint64_t id = 1; id <= kJobs; ++id) {
    core::JobAccepted accepted;
    accepted.job = JobId(id);
    accepted.project = id % 2 == 0 ? "a" : "b";
    accepted.name = "job-" + std::to_string(id);
    facts.push_back(accepted);
    // A third of a micro-unit and a little: rounded one by one they would not sum.
    facts.push_back(core::UsageCharged{{JobId(id), 1, 1},
                                       cluster_.now,
                                       cluster_.now + Duration(1),
                                       Duration(1),
                                       Money{1},
                                       {ledger::kUnitsPerMicro / 3 + static_cast<int>(id)}});
  }
  stored_.save();
  stored_.commit(cluster_.now, facts);
  stored_.reopen();
  views_.emplace(1);
  views_->apply(snapshot_all(stored_.scheduler(), cluster_.now));
  costs_.emplace(*views_, stored_.store());
  for (const std::string project : {"", "a"}) {
    ledger::Charge sum;
    for (std::uint64_t id = 1; id <= kJobs; ++id) {
      if (project.empty() || id % 2 == 0) {
        sum += ledger::Charge{ledger::kUnitsPerMicro / 3 + static_cast<int>(id)};
      }
    }
    const Principal caller{PrincipalKind::kPerson, 1, Role::kBilling, project, "ann"};
    v1::ListJobCostsRequest request;
    request.set_parent("projects/-");
    request.set_month("2026-11");
    request.set_page_size(800);
    std::set<std::string> jobs;
    Money shown;
    for (int page = 0; page < 5; ++page) {
      v1::ListJobCostsResponse response;
      const Status done = costs_->list_jobs(caller, request, cluster_.now, response);
      ASSERT_TRUE(done.ok()) << done.message;
      EXPECT_EQ(response.total().amount_micros(), ledger::rounded(sum).micros);
      for (const auto& line : response.jobs()) {
        EXPECT_TRUE(jobs.insert(line.job()).second) << line.job() << " twice";
        EXPECT_TRUE(project.empty() || line.job().starts_with("projects/a/")) << line.job();
        shown = shown + Money{line.charged().amount_micros()};
      }
      request.set_page_token(response.next_page_token());
      if (response.next_page_token().empty()) break;
    }
    EXPECT_EQ(jobs.size(), project.empty() ? kJobs : kJobs / 2);
    EXPECT_EQ(shown, ledger::rounded(sum));
  }
}

TEST_F(CostsTest, AnotherProjectsBillIsNotThere) {
  cluster_.step(core::ProjectCreateRequested{admin(), core::ReplyId(4), "other"});
  restart();
  const Principal caller{PrincipalKind::kPerson, 1, Role::kViewer, "default", "ann"};
  const auto refused = [&](const std::string& parent, const std::string& job) {
    v1::ListJobCostsRequest request;
    request.set_parent(parent);
    request.set_job(job);
    v1::ListJobCostsResponse response;
    return costs_->list_jobs(caller, request, cluster_.now, response).code;
  };
  EXPECT_EQ(refused("projects/other", ""), Code::kNotFound);
  EXPECT_EQ(refused("projects/none", ""), Code::kNotFound);
  EXPECT_EQ(refused("", "projects/other/jobs/x"), Code::kNotFound);
  EXPECT_EQ(refused("projects/default", ""), Code::kOk);
}

}  // namespace
}  // namespace overwinter::runtime
