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
