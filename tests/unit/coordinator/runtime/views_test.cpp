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

TEST(ViewsTest, AllProjectsHaveAHistoryOfTheirOwn) {
  Views views(1000);
  const std::uint64_t first = views.next_event("");
  int heard = 0;
  const auto id = views.listen("", [&] { ++heard; });
  change(views, job(1, "a", core::JobState::kQueued));
  change(views, job(2, "b", core::JobState::kQueued));
  change(views, job(1, "a", core::JobState::kRunning));
  views.unlisten(id);
  EXPECT_EQ(heard, 3);
  const auto events = views.events("", first, 10);
  ASSERT_TRUE(events.has_value());
  ASSERT_EQ(events->size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ((*events)[i].number, first + i);
  EXPECT_EQ((*events)[1].job->project, "b");
  EXPECT_EQ(views.next_event(""), first + 3);
  // A number of one kind means nothing to the other.
  EXPECT_EQ(views.events("a", first, 10).error().code, Code::kOutOfRange);
  EXPECT_EQ(views.events("", 1000, 10).error().code, Code::kOutOfRange);
}

TEST(ViewsTest, TheParentOfAllIsTheCallersOwnWhereItSeesOnlyOne) {
  Views views(1);
  make_projects(views, {"a", "b"});
  const Principal of_a{PrincipalKind::kPerson, 1, Role::kViewer, "a", "ann"};
  const Principal admin{PrincipalKind::kPerson, 2, Role::kAdmin, {}, "root"};
  EXPECT_EQ(visible_parent(views, of_a, "projects/-").value(), "a");
  EXPECT_EQ(visible_parent(views, admin, "projects/-").value(), "");
  EXPECT_EQ(visible_parent(views, admin, "projects/b").value(), "b");
  EXPECT_EQ(visible_parent(views, of_a, "projects/b").error().code, Code::kNotFound);
  EXPECT_EQ(visible_parent(views, of_a, "projects/b").error().hint,
            visible_parent(views, of_a, "projects/none").error().hint);
  for (const char* wrong : {"", "projects/", "b", "projects/a/jobs", "projects/-/jobs"}) {
    EXPECT_EQ(visible_parent(views, admin, wrong).error().code, Code::kInvalidArgument) << wrong;
  }
}

}  // namespace
}  // namespace overwinter::runtime
