#include "coordinator/runtime/views.h"

#include <gtest/gtest.h>

#include "coordinator/runtime/job_queries.h"

namespace overwinter::runtime {
namespace {

JobViewPtr job(std::uint64_t id, const std::string& project, core::JobState state) {
  auto view = std::make_shared<JobView>();
  view->id = JobId(id);
  view->project = project;
  view->name = "job-" + std::to_string(id);
  view->state = state;
  return view;
}

void change(Views& views, JobViewPtr view) {
  ViewChange change;
  change.jobs = {std::move(view)};
  views.apply(change);
}

void make_projects(Views& views, std::vector<std::string> names) {
  auto cluster = std::make_shared<ClusterView>();
  cluster->projects = std::move(names);
  ViewChange change;
  change.cluster = cluster;
  views.apply(change);
}

TEST(ViewsTest, EventNumbersCountWithinAProject) {
  Views views(1000);
  change(views, job(1, "a", core::JobState::kQueued));
  change(views, job(2, "b", core::JobState::kQueued));
  change(views, job(1, "a", core::JobState::kRunning));
  const auto events = views.events("a", 1000, 10);
  ASSERT_TRUE(events.has_value());
  ASSERT_EQ(events->size(), 2U);
  EXPECT_EQ((*events)[0].number, 1000U);
  EXPECT_EQ((*events)[1].number, 1001U) << "b's change leaves no gap";
  EXPECT_EQ((*events)[1].job->state, core::JobState::kRunning);
  EXPECT_TRUE(views.events("a", 1002, 10)->empty());
}

TEST(ViewsTest, ANumberThatIsNotKeptIsOutOfRange) {
  Views views(1);
  for (std::size_t i = 0; i < kEventsKeptMax + 10; ++i) {
    change(views, job(1, "a", core::JobState::kRunning));
  }
  EXPECT_EQ(views.events("a", 1, 10).error().code, Code::kOutOfRange);
  EXPECT_EQ(views.events("a", 10, 10).error().code, Code::kOutOfRange);
  EXPECT_TRUE(views.events("a", 11, 10).has_value());
  EXPECT_EQ(views.events("a", views.next_event("a") + 1, 10).error().code, Code::kOutOfRange);
}

TEST(ViewsTest, AChangeIsReadableBeforeAnybodyIsToldOfIt) {
  Views views(1);
  int heard = 0;
  const auto listener = views.listen("a", [&] { ++heard; });
  ViewChange change;
  change.jobs = {job(1, "a", core::JobState::kQueued)};
  const Views::Projects touched = views.put(change);
  EXPECT_EQ(heard, 0);
  EXPECT_NE(views.job(JobId(1)), nullptr);
  views.tell(touched);
  EXPECT_EQ(heard, 1);
  views.unlisten(listener);
}

TEST(ViewsTest, ListenersHearOfTheirProjectAlone) {
  Views views(1);
  int heard = 0;
  const auto id = views.listen("a", [&] { ++heard; });
  change(views, job(1, "b", core::JobState::kQueued));
  EXPECT_EQ(heard, 0);
  change(views, job(2, "a", core::JobState::kQueued));
  EXPECT_EQ(heard, 1);
  views.unlisten(id);
  change(views, job(2, "a", core::JobState::kRunning));
  EXPECT_EQ(heard, 1);
}

TEST(ViewsTest, AnotherProjectsJobIsAnsweredLikeOneThatIsNot) {
  Views views(1);
  make_projects(views, {"a", "b"});
  change(views, job(1, "b", core::JobState::kQueued));
  const Principal of_a{PrincipalKind::kPerson, 1, Role::kViewer, "a", "ann"};
  const auto other = find_job(views, of_a, "projects/b/jobs/job-1");
  const auto none = find_job(views, of_a, "projects/b/jobs/job-9");
  ASSERT_FALSE(other.has_value());
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(other.error().code, none.error().code);
  EXPECT_EQ(other.error().hint, none.error().hint);
  EXPECT_EQ(check_project(views, of_a, "b").code, Code::kNotFound);
  EXPECT_TRUE(check_project(views, of_a, "a").ok());
}

TEST(ViewsTest, PagesOfAListMeetAndATokenOfAnotherListIsRefused) {
  Views views(1);
  make_projects(views, {"a"});
  for (std::uint64_t i = 1; i <= 5; ++i) change(views, job(i, "a", core::JobState::kQueued));
  const Principal admin{PrincipalKind::kPerson, 1, Role::kAdmin, {}, "root"};
  v1::ListJobsRequest request;
  request.set_parent("projects/a");
  request.set_page_size(2);
  std::vector<std::string> names;
  for (int page = 0; page < 3; ++page) {
    v1::ListJobsResponse response;
    ASSERT_TRUE(list_jobs(views, admin, request, response).ok());
    EXPECT_EQ(response.total_size(), 5);
    for (const auto& one : response.jobs()) names.push_back(one.name());
    request.set_page_token(response.next_page_token());
    EXPECT_EQ(response.next_page_token().empty(), page == 2);
    if (page == 0) {
      v1::ListJobsRequest other = request;
      other.set_filter("state=QUEUED");
      v1::ListJobsResponse refused;
      EXPECT_EQ(list_jobs(views, admin, other, refused).field, "page_token");
    }
  }
  const std::vector<std::string> newest_first{"projects/a/jobs/job-5", "projects/a/jobs/job-4",
                                              "projects/a/jobs/job-3", "projects/a/jobs/job-2",
                                              "projects/a/jobs/job-1"};
  EXPECT_EQ(names, newest_first);
}

}  // namespace
}  // namespace overwinter::runtime
