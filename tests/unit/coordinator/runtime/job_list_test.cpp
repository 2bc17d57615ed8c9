// Lists over the jobs that the core holds and those that left it, with a store on a folder in
// memory.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/snapshot.h"

namespace overwinter::runtime {
namespace {

using Names = std::vector<std::string>;

class JobListTest : public testing::Test {
 protected:
  JobListTest() {
    std::string pattern = "/dev/shm/ow-list-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    store::StoreConfig config;
    config.folder = folder_;
    config.reserve_bytes = 0;
    config.room_min_bytes = 0;
    store_ = std::move(store::open_store(config).value());
    EXPECT_TRUE(store_->restore().has_value());
    auto cluster = std::make_shared<ClusterView>();
    cluster->projects = {"a", "b"};
    ViewChange change;
    change.cluster = cluster;
    views_.apply(change);
  }
  ~JobListTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void commit(std::vector<core::Fact> facts) {
    now_ += Duration(1);
    for (const core::Fact& fact : facts) core::evolve(state_, now_, fact);
    const store::TurnRef turn{now_, facts};
    ASSERT_TRUE(store_->append_and_commit({&turn, 1}).ok());
  }
  static core::JobAccepted accepted(std::uint64_t id, const std::string& project) {
    core::JobAccepted fact;
    fact.job = JobId(id);
    fact.project = project;
    fact.name = "job-" + std::to_string(id);
    return fact;
  }
  // A job that the core holds and readers see.
  void add(std::uint64_t id, const std::string& project = "a") {
    commit({accepted(id, project)});
    ViewChange change;
    change.jobs = {view_of_past(*state_.find_job(JobId(id)))};
    views_.apply(change);
  }
  // It ends and leaves: first the commit, then the views.
  void leave(std::uint64_t id, core::JobState state = core::JobState::kSucceeded) {
    commit({core::JobStateChanged{JobId(id), state, core::Cause::kNone, 1, "it ended", 0},
            core::JobForgotten{JobId(id)}});
    ViewChange change;
    change.jobs_gone = {JobId(id)};
    views_.apply(change);
  }

  v1::ListJobsResponse page(const Principal& caller, const v1::ListJobsRequest& request) {
    v1::ListJobsResponse response;
    const Status status = list_jobs(views_, *store_, caller, request, response);
    EXPECT_TRUE(status.ok()) << status.message;
    return response;
  }
  static Names numbers(const v1::ListJobsResponse& response) {
    Names out;
    for (const auto& job : response.jobs())
      out.push_back(job.name().substr(job.name().rfind('-') + 1));
    return out;
  }
  // All pages of a list, joined by "|".
  std::string pages(const Principal& caller, v1::ListJobsRequest request) {
    std::string out;
    for (int i = 0; i < 20; ++i) {
      const auto response = page(caller, request);
      for (const auto& number : numbers(response)) out += number + " ";
      if (response.next_page_token().empty()) return out;
      out += "| ";
      request.set_page_token(response.next_page_token());
    }
    return out + "without end";
  }
  static v1::ListJobsRequest request(const std::string& parent, int size = 0) {
    v1::ListJobsRequest out;
    out.set_parent(parent);
    out.set_page_size(size);
    return out;
  }

  const Principal admin_{PrincipalKind::kPerson, 1, Role::kAdmin, {}, "root"};
  const Principal of_a_{PrincipalKind::kPerson, 2, Role::kViewer, "a", "ann"};
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  core::ClusterState state_;
  Views views_{1};
  Time now_ = time_from_unix_ms(1'796'000'000'000);
};

TEST_F(JobListTest, PagesRunOnIntoThePastInOneOrder) {
  for (std::uint64_t id = 1; id <= 7; ++id) add(id);
  for (const std::uint64_t id : {1, 2, 4}) leave(id);
  EXPECT_EQ(pages(admin_, request("projects/a", 3)), "7 6 5 | 4 3 2 | 1 ");
  EXPECT_EQ(pages(admin_, request("projects/a")), "7 6 5 4 3 2 1 ");
  EXPECT_EQ(page(admin_, request("projects/a", 2)).total_size(), 7);
  auto oldest = request("projects/a", 2);
  oldest.set_order_by("create_time");
  EXPECT_EQ(pages(admin_, oldest), "1 2 | 3 4 | 5 6 | 7 ");
  // What is shown of one that left is what it was.
  const auto all = page(admin_, request("projects/a"));
  EXPECT_EQ(all.jobs(3).state(), v1::Job::SUCCEEDED);
  EXPECT_EQ(all.jobs(3).state_reason(), "it ended");
}

TEST_F(JobListTest, EveryOrderRunsThroughBothAndEndsOnTheJobsNumber) {
  for (std::uint64_t id = 1; id <= 6; ++id) add(id, id % 2 == 0 ? "a" : "b");
  leave(3, core::JobState::kFailed);
  leave(1, core::JobState::kSucceeded);
  leave(4, core::JobState::kFailed);
  const auto by = [&](const char* order) {
    auto asked = request("projects/-", 2);
    asked.set_order_by(order);
    return pages(admin_, asked);
  };
  EXPECT_EQ(by("state"), "2 5 | 6 1 | 3 4 ");
  EXPECT_EQ(by("state desc"), "4 3 | 1 6 | 5 2 ");
  EXPECT_EQ(by("end_time desc"), "4 1 | 3 6 | 5 2 ");
  EXPECT_EQ(by("name"), "1 2 | 3 4 | 5 6 ");
  EXPECT_EQ(by("name desc"), "6 5 | 4 3 | 2 1 ");
  EXPECT_EQ(by("cost desc"), "6 5 | 4 3 | 2 1 ");  // all of nothing
  // A token belongs to its order.
  auto asked = request("projects/-", 2);
  asked.set_order_by("name");
  const auto token = page(admin_, asked).next_page_token();
  asked.set_order_by("state");
  asked.set_page_token(token);
  v1::ListJobsResponse refused;
  EXPECT_EQ(list_jobs(views_, *store_, admin_, asked, refused).code, Code::kInvalidArgument);
}

TEST_F(JobListTest, AJobThatLeavesAndChangesItsPlaceIsShownOnceOnAPage) {
  for (std::uint64_t id = 1; id <= 3; ++id) add(id);
  // It has ended and left for the store; the views do not know yet.
  commit({core::JobStateChanged{JobId(2), core::JobState::kFailed, core::Cause::kNone, 1, "", 0},
          core::JobForgotten{JobId(2)}});
  auto asked = request("projects/a");
  asked.set_order_by("state");
  EXPECT_EQ(pages(admin_, asked), "1 2 3 ");
}

TEST_F(JobListTest, AJobThatLeavesBetweenTwoPagesIsShownOnce) {
  for (std::uint64_t id = 1; id <= 6; ++id) add(id);
  auto asked = request("projects/a", 2);
  const auto first = page(admin_, asked);
  EXPECT_EQ(numbers(first), (Names{"6", "5"}));
  for (const std::uint64_t id : {5, 4, 2}) leave(id);  // the one that the token names, too
  asked.set_page_token(first.next_page_token());
  EXPECT_EQ(pages(admin_, asked), "4 3 | 2 1 ");
}

TEST_F(JobListTest, JobsOfBeforeARestartAreListed) {
  for (std::uint64_t id = 1; id <= 3; ++id) add(id);
  leave(1);
  store_.reset();
  store::StoreConfig config;
  config.folder = folder_;
  config.reserve_bytes = 0;
  config.room_min_bytes = 0;
  store_ = std::move(store::open_store(config).value());
  const auto state = store_->restore();
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->jobs.size(), 2U);
  EXPECT_EQ(pages(admin_, request("projects/-")), "3 2 1 ");
}

TEST_F(JobListTest, AllProjectsAreThoseOfTheCaller) {
  for (std::uint64_t id = 1; id <= 6; ++id) add(id, id % 2 == 0 ? "a" : "b");
  for (const std::uint64_t id : {1, 2}) leave(id);
  EXPECT_EQ(pages(admin_, request("projects/-", 4)), "6 5 4 3 | 2 1 ");
  EXPECT_EQ(pages(of_a_, request("projects/-", 2)), "6 4 | 2 ");
  EXPECT_EQ(page(of_a_, request("projects/-")).total_size(), 3);
  EXPECT_EQ(page(of_a_, request("projects/-")).event(), views_.next_event("a"));
  EXPECT_EQ(page(admin_, request("projects/-")).event(), views_.next_event(""));
  v1::ListJobsResponse refused;
  EXPECT_EQ(list_jobs(views_, *store_, of_a_, request("projects/b"), refused).code,
            Code::kNotFound);
  EXPECT_EQ(refused.jobs_size(), 0);
}

TEST_F(JobListTest, AFilterReachesIntoThePastWithABoundOnAPage) {
  std::vector<core::Fact> facts;
  for (std::uint64_t id = 1; id <= kPastScannedMax + 5; ++id) {
    core::JobAccepted fact = accepted(id, "a");
    const bool odd = id == 3;
    if (odd) fact.labels["team"] = "nlp";
    facts.push_back(std::move(fact));
    const auto state = odd ? core::JobState::kFailed : core::JobState::kSucceeded;
    facts.push_back(core::JobStateChanged{JobId(id), state, core::Cause::kNone, 1, "", 0});
    facts.push_back(core::JobForgotten{JobId(id)});
  }
  commit(std::move(facts));
  auto by_state = request("projects/a", 10);
  by_state.set_filter("state=FAILED");
  EXPECT_EQ(pages(admin_, by_state), "3 ") << "the store itself leaves the others out";
  by_state.set_filter("state=FAILED AND NOT labels.team=nlp");
  EXPECT_EQ(pages(admin_, by_state), "");
  auto failed = request("projects/a", 10);
  failed.set_filter("labels.team=nlp");
  const auto first = page(admin_, failed);
  EXPECT_EQ(first.jobs_size(), 0);
  ASSERT_FALSE(first.next_page_token().empty()) << "the list is not at its end";
  EXPECT_EQ(first.total_size(), 1);
  EXPECT_FALSE(first.total_size_capped());
  failed.set_page_token(first.next_page_token());
  EXPECT_EQ(pages(admin_, failed), "3 ");
}

TEST_F(JobListTest, MatchesAreCountedHereAndInThePast) {
  std::vector<Time> created{now_};
  for (std::uint64_t id = 1; id <= 8; ++id) {
    add(id, id == 8 ? "b" : "a");
    created.push_back(now_);
  }
  for (const std::uint64_t id : {1, 2, 4, 5}) {
    leave(id, id == 4 ? core::JobState::kSucceeded : core::JobState::kFailed);
  }
  const auto count = [&](const std::string& filter, const char* parent = "projects/a") {
    auto asked = request(parent, 1);
    asked.set_filter(filter);
    const auto response = page(admin_, asked);
    EXPECT_FALSE(response.total_size_capped()) << filter;
    return response.total_size();
  };
  EXPECT_EQ(count("state=FAILED"), 3);
  EXPECT_EQ(count("state=QUEUED"), 3);
  EXPECT_EQ(count("state=QUEUED", "projects/-"), 4);
  EXPECT_EQ(count("NOT state=FAILED"), 4);
  EXPECT_EQ(count("name=job-2 AND state=FAILED"), 1);
  const std::string since = "create_time>=" + format_time(created[4]);
  EXPECT_EQ(count(since), 4);
  EXPECT_EQ(count(since + " AND state=FAILED"), 1);
  EXPECT_EQ(count(since + " AND NOT state=FAILED"), 3);
  EXPECT_EQ(count("create_time<" + format_time(created[4])), 3);
  auto asked = request("projects/a", 2);
  asked.set_filter(since);
  EXPECT_EQ(pages(admin_, asked), "7 6 | 5 4 ");
  asked.set_order_by("state");
  EXPECT_EQ(pages(admin_, asked), "6 7 | 4 5 ");
}

TEST_F(JobListTest, ACountEndsAtItsBoundAndSaysSo) {
  std::vector<core::Fact> facts;
  constexpr std::int64_t kCounted = kCountedMax;
  constexpr std::int64_t kJobs = kCounted + 2;
  for (std::uint64_t id = 1; std::cmp_less_equal(id, kJobs); ++id) {
    core::JobAccepted fact = accepted(id, "a");
    if (id % 2 == 0) fact.labels["team"] = "nlp";
    facts.push_back(std::move(fact));
    facts.push_back(
        core::JobStateChanged{JobId(id), core::JobState::kFailed, core::Cause::kNone, 1, "", 0});
    facts.push_back(core::JobForgotten{JobId(id)});
  }
  commit(std::move(facts));
  const auto of = [&](const std::string& filter) {
    auto asked = request("projects/a", 1);
    asked.set_filter(filter);
    return page(admin_, asked);
  };
  EXPECT_EQ(page(admin_, request("projects/a", 1)).total_size(), kJobs) << "exact without a filter";
  EXPECT_EQ(of("state=FAILED").total_size(), kCounted);
  EXPECT_TRUE(of("state=FAILED").total_size_capped());
  EXPECT_EQ(of("state=PAUSED").total_size(), 0);
  EXPECT_FALSE(of("state=PAUSED").total_size_capped());
  EXPECT_TRUE(of("create_time>2020-01-01").total_size_capped());
  EXPECT_TRUE(of("create_time>2020-01-01 AND state=FAILED").total_size_capped());
  // Records are read one by one, and not all of them.
  const auto labelled = of("labels.team=nlp");
  EXPECT_EQ(labelled.total_size(), std::int64_t{store::kCountReadMax} / 2);
  EXPECT_TRUE(labelled.total_size_capped());
}

TEST_F(JobListTest, ATokenOfAnotherListOrOfNoneIsRefused) {
  for (std::uint64_t id = 1; id <= 3; ++id) add(id);
  const auto token = page(admin_, request("projects/a", 2)).next_page_token();
  const auto refused = [&](v1::ListJobsRequest asked, const Principal& caller, std::string with) {
    asked.set_page_token(std::move(with));
    v1::ListJobsResponse response;
    return list_jobs(views_, *store_, caller, asked, response).field == "page_token";
  };
  auto filtered = request("projects/a", 2);
  filtered.set_filter("state=QUEUED");
  EXPECT_TRUE(refused(filtered, admin_, token));
  EXPECT_TRUE(refused(request("projects/-", 2), admin_, token));
  EXPECT_TRUE(refused(request("projects/a", 2), of_a_, token));
  EXPECT_TRUE(refused(request("projects/a", 2), admin_, "AAAA"));
  EXPECT_TRUE(refused(request("projects/a", 2), admin_, token + std::string(10'000, 'A')));
  EXPECT_FALSE(refused(request("projects/a", 2), admin_, token));
}

}  // namespace
}  // namespace overwinter::runtime
