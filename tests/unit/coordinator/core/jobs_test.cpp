// What submitting, planning anew, acting and updating take and refuse, and who is recorded for it.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

using ledger::charge_of;

Code code(const TestCluster& cluster) {
  return cluster.last<Reply>().status.code;
}

Alternative way(const JobBuilder& builder, const char* plan) {
  return {builder.demand(), std::make_shared<const std::string>(plan)};
}

Principal operator_of(std::uint64_t id) {
  return {PrincipalKind::kPerson, id, Role::kOperator, "", "ops"};
}

TEST(Jobs, TheFirstWayThatFitsAKnownWorkerIsTaken) {
  const auto taken = [](std::vector<Alternative> ways) {
    TestCluster cluster;
    cluster.joined(a_worker());  // 4 GiB
    JobSubmitted event = a_job().build();
    event.alternatives = std::move(ways);
    cluster.step(event);
    return *cluster.job(cluster.last<Reply>().job).plan;
  };
  const Alternative large = way(a_job().with_memory(5 * kGiB), "large");
  const Alternative larger = way(a_job().with_memory(6 * kGiB), "larger");
  const Alternative small = way(a_job().with_memory(kGiB), "small");
  const Alternative smaller = way(a_job().with_memory(kGiB / 2), "smaller");
  EXPECT_EQ(taken({small, smaller}), "small");
  EXPECT_EQ(taken({large, small, smaller}), "small");
  EXPECT_EQ(taken({large, larger, small}), "small");
  EXPECT_EQ(taken({large, larger}), "large");  // it waits for a worker as large as that
}

TEST(Jobs, ThereIsNoPlaceForMoreThanSoManyThatWait) {
  SchedulerConfig config;
  config.jobs_waiting_max = 2;
  TestCluster cluster(config);
  cluster.joined(a_worker());
  cluster.submit(a_job().with_units(5));  // has the worker: it does not wait
  ASSERT_TRUE(cluster.submit(a_job()).valid());
  ASSERT_TRUE(cluster.submit(a_job().with_memory(64 * kGiB)).valid());  // fits nowhere
  cluster.step(a_job().build());
  EXPECT_EQ(code(cluster), Code::kResourceExhausted);
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.act(JobId(2), JobAction::kCancel);
  EXPECT_TRUE(cluster.submit(a_job()).valid());
}

TEST(Jobs, SubmittingNeedsAProjectThatIsThereAndSeen) {
  TestCluster cluster;
  cluster.step(ProjectCreateRequested{admin(), ReplyId(2), "other"});
  EXPECT_EQ(cluster.facts<ProjectCreated>().at(0).actor, 1U);
  cluster.step(a_job().in("nowhere").build());
  EXPECT_EQ(code(cluster), Code::kNotFound);
  cluster.step(a_job().by(submitter(7, "default")).in("other").build());
  EXPECT_EQ(code(cluster), Code::kNotFound);
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_TRUE(cluster.submit(a_job().by(submitter(7, "other")).in("other")).valid());
  JobSubmitted planless = a_job().build();
  planless.alternatives.clear();
  cluster.step(planless);
  EXPECT_EQ(code(cluster), Code::kInvalidArgument);
}

TEST(Jobs, ACapIsLookedAtOnlyWhereThereIsSomethingToPay) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));
  EXPECT_TRUE(cluster.submit(a_job().with_cap(1)).valid());  // no worker yet: it waits
  cluster.joined(a_worker());
  EXPECT_TRUE(cluster.submit(a_job().with_units(0).with_cap(1)).valid());  // nothing to compute
  cluster.step(a_job().with_cap(1).build());
  EXPECT_EQ(code(cluster), Code::kFailedPrecondition);
  EXPECT_TRUE(cluster.submit(a_job().with_units(1)).valid());
}

TEST(Jobs, TheLeastCapIsNamedInWholeMicroUnits) {
  TestCluster cluster;
  cluster.set_prices(a_book(1'800'001));  // 2 s cost 1,000.0006 micro-units
  cluster.joined(a_worker());
  cluster.step(a_job().with_cap(1).build());
  const std::string message = cluster.last<Reply>().status.message;
  EXPECT_NE(message.find(format_money(Money{1'001})), std::string::npos) << message;
  cluster.step(a_job().with_cap(1'000).build());
  EXPECT_EQ(code(cluster), Code::kFailedPrecondition);
  EXPECT_TRUE(cluster.submit(a_job().with_cap(1'001)).valid());
  cluster.set_prices(a_book(kHour));  // 2,000 and nothing over
  cluster.step(a_job().with_cap(1'999).build());
  EXPECT_EQ(cluster.last<Reply>().status.hint,
            "set budget.cap to at least " + format_money(Money{2'000}));
}

TEST(Jobs, ARequestIdIsGoodForAJobOfItsProject) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job().with_request_id("r"));
  cluster.step(a_job().with_request_id("r").build());
  EXPECT_EQ(cluster.last<Reply>().job, id);
  EXPECT_TRUE(cluster.last<Reply>().repeated);
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.step(a_job().with_request_id("s").build());
  EXPECT_FALSE(cluster.last<Reply>().repeated);
  EXPECT_NE(cluster.last<Reply>().job, id);
}

TEST(Jobs, NamesAreTheSlugAndFiveCharactersThatNoOtherJobHas) {
  TestCluster cluster;
  std::set<std::string> names;
  for (int i = 0; i < 200; ++i) {
    const std::string name = cluster.job(cluster.submit(a_job().named("fit"))).name;
    EXPECT_EQ(name.size(), 9U);
    EXPECT_EQ(name.find("fit-"), 0U);
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 200U);
  // A name is found again: the same cluster gives the same names.
  TestCluster twin;
  EXPECT_TRUE(names.contains(twin.job(twin.submit(a_job().named("fit"))).name));
}

TEST(Jobs, AWaitingJobIsPlannedAnewUnlessItWasStarted) {
  TestCluster cluster;
  const auto replan = [&](JobId id, std::vector<Alternative> ways) {
    cluster.step(JobReplanned{id, std::move(ways)});
    return cluster.facts<JobDemandChanged>();
  };
  const JobId id = cluster.submit(a_job().with_memory(8 * kGiB).with_cap(5'000));
  cluster.step(JobUpdateRequested{admin(), ReplyId(4), id, Money{9'000}, Priority::kHigh});
  EXPECT_TRUE(replan(JobId(77), {way(a_job(), "x")}).empty()) << "no such job";
  EXPECT_TRUE(replan(id, {}).empty()) << "no plan was found";
  EXPECT_TRUE(replan(id, {way(a_job().with_units(0), "x")}).empty());
  const auto changed = replan(id, {way(a_job().with_units(3).with_cap(5'000), "new")});
  ASSERT_EQ(changed.size(), 1U);
  EXPECT_EQ(changed[0].demand.units, 3U);
  EXPECT_EQ(changed[0].demand.cap, Money{9'000});  // what was set since it was submitted
  EXPECT_EQ(changed[0].demand.priority, Priority::kHigh);
  EXPECT_EQ(*cluster.job(id).plan, "new");
  EXPECT_TRUE(replan(id, {way(a_job().with_units(3), "same")}).empty()) << "nothing is new";
  EXPECT_EQ(replan(id, {way(a_job().with_units(1), "one")}).size(), 1U) << "one unit is a job";

  const WorkerId worker = cluster.joined(a_worker());
  ASSERT_EQ(cluster.job(id).state, JobState::kStarting);
  EXPECT_TRUE(replan(id, {way(a_job().with_units(9), "x")}).empty()) << "it has a seat";
  cluster.end(cluster.seat(id), Duration(0), SeatEnd::kLeaving);
  ASSERT_EQ(cluster.job(id).state, JobState::kQueued);
  EXPECT_TRUE(replan(id, {way(a_job().with_units(9), "x")}).empty()) << "it had one";
  EXPECT_TRUE(cluster.worker(worker).seats.empty());
}

TEST(Jobs, AWaitingJobIsPlannedOnTheWorkersThereAre) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId busy = cluster.submit(a_job());
  const JobId id = cluster.submit(a_job().with_memory(8 * kGiB));
  cluster.step(JobReplanned{id, {way(a_job().with_memory(6 * kGiB), "no"), way(a_job(), "yes")}});
  EXPECT_EQ(*cluster.job(id).plan, "yes");
  cluster.act(busy, JobAction::kCancel);
  cluster.end(cluster.seat(busy), Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kStarting);
}

TEST(Jobs, WhatIsAskedOfAJobThatIsNotThereIsNotFound) {
  TestCluster cluster;
  for (const JobAction action : {JobAction::kPause, JobAction::kResume, JobAction::kCancel}) {
    cluster.act(JobId(9), action);
    EXPECT_EQ(code(cluster), Code::kNotFound);
    EXPECT_FALSE(cluster.last<Reply>().job.valid());
  }
  cluster.step(JobUpdateRequested{admin(), ReplyId(4), JobId(9), Money{1}, {}});
  EXPECT_EQ(code(cluster), Code::kNotFound);
}

TEST(Jobs, AnAdminActsOnEverybodysJobs) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job().by(submitter(7, "default")));
  cluster.act(id, JobAction::kPause, operator_of(3));
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_EQ(cluster.last<Reply>().job, id);
  EXPECT_EQ(cluster.facts<JobStateChanged>().at(0).actor, 3U);
  cluster.step(JobUpdateRequested{operator_of(3), ReplyId(4), id, Money{1}, {}});
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_EQ(cluster.facts<JobUpdated>().at(0).actor, 3U);
  cluster.act(id, JobAction::kResume, operator_of(4));
  EXPECT_EQ(cluster.facts<JobStateChanged>().at(0).actor, 4U);
  // And who submitted it may too.
  cluster.step(JobUpdateRequested{submitter(7, "default"), ReplyId(4), id, Money{2}, {}});
  EXPECT_EQ(code(cluster), Code::kOk);
  // The coordinator's own process is no person: it may act on all.
  cluster.act(id, JobAction::kPause, {PrincipalKind::kSystem, 0, Role::kSubmitter, "", ""});
  EXPECT_EQ(code(cluster), Code::kOk);
}

TEST(Jobs, AJobThatIsAboutToEndCanNeitherBePausedNorCancelled) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job());
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.land(seat, units(0, 1));
  ASSERT_EQ(cluster.job(id).state, JobState::kStopping);  // its last seat is still held
  EXPECT_EQ(cluster.job(id).state_actor, 0U);
  cluster.act(id, JobAction::kPause);
  EXPECT_EQ(code(cluster), Code::kFailedPrecondition);
  cluster.act(id, JobAction::kCancel);
  EXPECT_EQ(code(cluster), Code::kFailedPrecondition);
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.end(seat, Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kSucceeded);
}

TEST(Jobs, AJobThatFailsKeepsItsReasonWhenItIsCancelledMeanwhile) {
  TestCluster cluster;
  for (const char* name : {"a", "b", "c", "d"}) cluster.joined(a_worker().named(name));
  const JobId id = cluster.submit(a_job().with_units(100).with_seats(4, 4));
  const std::vector<SeatKey> seats = {cluster.seat(id, 0), cluster.seat(id, 1),
                                      cluster.seat(id, 2)};
  for (const SeatKey seat : seats) {
    cluster.began(seat);
    cluster.report(cluster.state().find_seat(seat)->worker, UnitsFailed{seat, units(0, 1), "bad"});
  }
  ASSERT_EQ(cluster.job(id).state, JobState::kStopping);
  ASSERT_EQ(cluster.job(id).cause, Cause::kFailure);
  cluster.act(id, JobAction::kCancel);
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.act(id, JobAction::kPause);
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  while (!cluster.job(id).seats.empty()) cluster.end(cluster.seat(id), Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kFailed);
  EXPECT_EQ(cluster.job(id).state_actor, 0U);
}

TEST(Jobs, ARunningJobIsCancelledAtOnceAndResumeOfOneThatRunsIsNoError) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(3));
  cluster.began(cluster.seat(id));
  cluster.act(id, JobAction::kResume);
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  const JobId waiting = cluster.submit(a_job());
  cluster.act(waiting, JobAction::kResume);
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.act(id, JobAction::kCancel);
  EXPECT_EQ(cluster.job(id).state, JobState::kStopping);
  EXPECT_EQ(cluster.job(id).cause, Cause::kCancelled);
  cluster.end(cluster.seat(id), Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kCancelled);
  EXPECT_EQ(cluster.job(id).state_actor, 1U);
}

TEST(Jobs, PausingAPausedJobChangesNothing) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job());
  cluster.act(id, JobAction::kPause);
  cluster.act(id, JobAction::kPause, operator_of(9));
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(cluster.job(id).state_actor, 1U);
}

TEST(Jobs, ResumeTakesACapThatIsJustEnoughAndOneThatNobodyMakesYouPay) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(100).with_cap(10'000));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.run_for(Duration(1'000));
  cluster.act(id, JobAction::kPause);
  cluster.end(seat, Duration(1'000));
  ASSERT_EQ(cluster.job(id).charged, charge_of(Money{1'000}));
  const auto resume_with = [&](std::int64_t cap) {
    cluster.step(JobUpdateRequested{admin(), ReplyId(4), id, Money{cap}, {}});
    cluster.act(id, JobAction::kResume);
    return code(cluster);
  };
  EXPECT_EQ(resume_with(2'999), Code::kFailedPrecondition);
  EXPECT_NE(cluster.last<Reply>().status.message.find(format_money(Money{3'000})),
            std::string::npos);
  EXPECT_EQ(resume_with(3'000), Code::kOk);
  ASSERT_EQ(cluster.job(id).state, JobState::kStarting);
  cluster.act(id, JobAction::kPause);
  cluster.end(cluster.seat(id), Duration(0));
  cluster.act(worker, WorkerAction::kRemove);
  // No worker is known: it waits, and its cap is looked at when one is there.
  EXPECT_EQ(resume_with(1'000), Code::kOk);
}

TEST(Jobs, AnUpdateWithoutACapLeavesItAlone) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(100).with_cap(10'000));
  cluster.step(JobUpdateRequested{admin(), ReplyId(4), id, {}, Priority::kLow});
  EXPECT_EQ(code(cluster), Code::kOk);
  EXPECT_EQ(cluster.job(id).demand.cap, Money{10'000});
  EXPECT_EQ(cluster.job(id).demand.priority, Priority::kLow);
  EXPECT_EQ(cluster.last<Reply>().job, id);
}

}  // namespace
}  // namespace overwinter::core::test
