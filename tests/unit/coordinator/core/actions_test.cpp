// What people ask of jobs, in each state: pause, resume, cancel, update; the time limit; helpers.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

Code code(const TestCluster& cluster) {
  return cluster.last<Reply>().status.code;
}

TEST(Actions, PauseStopsSeatsKeepsUnitsAndResumeIsANewAttempt) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(4).with_range_max(4));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.land(seat, units(0, 1));
  cluster.act(id, JobAction::kPause);
  EXPECT_EQ(cluster.job(id).state, JobState::kStopping);
  EXPECT_EQ(cluster.facts<SeatStopping>().at(0).cause, Cause::kPerson);
  EXPECT_EQ(cluster.all<StopSeat>().size(), 1U);
  cluster.act(id, JobAction::kResume);  // not before it is PAUSED
  EXPECT_EQ(code(cluster), Code::kFailedPrecondition);
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.act(id, JobAction::kPause);  // again: nothing changes
  EXPECT_TRUE(cluster.last<Reply>().status.ok());
  EXPECT_TRUE(cluster.out.facts.empty());
  cluster.end(seat, Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
  EXPECT_EQ(cluster.job(id).done, units(0, 1));
  cluster.act(id, JobAction::kResume);
  EXPECT_EQ(cluster.job(id).attempt, 2U);
  cluster.began(cluster.seat(id));
  UnitRanges handed = cluster.soft().jobs.at(id).seats.begin()->second.out;
  handed.add(cluster.soft().jobs.at(id).pool);
  EXPECT_EQ(handed, units(1, 4));
}

TEST(Actions, AWaitingJobIsPausedAndCancelledAtOnce) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job());
  cluster.act(id, JobAction::kPause);
  EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
  EXPECT_EQ(cluster.job(id).state_actor, 1U);
  cluster.joined(a_worker());
  EXPECT_EQ(cluster.job(id).state, JobState::kPaused);  // a place changes nothing
  cluster.act(id, JobAction::kCancel);
  EXPECT_EQ(cluster.job(id).state, JobState::kCancelled);
  EXPECT_EQ(cluster.all<DropResult>().size(), 1U);
}

TEST(Actions, CancelWhileItPausesEndsItForGood) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(3));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.act(id, JobAction::kPause);
  cluster.act(id, JobAction::kCancel);
  cluster.end(seat, Duration(0));
  EXPECT_EQ(cluster.job(id).state, JobState::kCancelled);
}

TEST(Actions, AnEndedJobTakesNoMore) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job().with_units(0));
  for (const JobAction action : {JobAction::kPause, JobAction::kResume, JobAction::kCancel}) {
    cluster.act(id, action);
    EXPECT_EQ(code(cluster), Code::kFailedPrecondition);
    EXPECT_TRUE(cluster.out.facts.empty());
  }
  cluster.step(JobUpdateRequested{admin(), ReplyId(4), id, Money{1'000}, {}});
  EXPECT_EQ(code(cluster), Code::kFailedPrecondition);
  const JobId cancelled = cluster.submit(a_job());
  cluster.act(cancelled, JobAction::kCancel);
  cluster.act(cancelled, JobAction::kCancel);  // the same again is no error
  EXPECT_TRUE(cluster.last<Reply>().status.ok());
}

TEST(Actions, ASubmitterActsOnItsOwnJobsAndSeesNoOtherProject) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job().by(submitter(7, "default")));
  ASSERT_TRUE(id.valid());
  for (const JobAction action : {JobAction::kPause, JobAction::kResume, JobAction::kCancel}) {
    cluster.act(id, action, submitter(8, "default"));
    EXPECT_EQ(code(cluster), Code::kPermissionDenied);
    cluster.act(id, action, submitter(7, "other"));
    EXPECT_EQ(code(cluster), Code::kNotFound);
    EXPECT_TRUE(cluster.out.facts.empty());
  }
  cluster.step(JobUpdateRequested{submitter(8, "default"), ReplyId(4), id, Money{1'000}, {}});
  EXPECT_EQ(code(cluster), Code::kPermissionDenied);
  cluster.step(JobUpdateRequested{submitter(7, "other"), ReplyId(4), id, Money{1'000}, {}});
  EXPECT_EQ(code(cluster), Code::kNotFound);
  cluster.act(id, JobAction::kPause, submitter(7, "default"));
  EXPECT_EQ(cluster.facts<JobStateChanged>().at(0).actor, 7U);
}

TEST(Actions, ACapIsChangedInEachStateButNeverBelowWhatIsSpentOrReserved) {
  TestCluster cluster;
  cluster.set_prices(a_book(kHour));  // 1,000 micro-units a second
  const auto set_cap = [&](JobId id, std::int64_t micros) {
    cluster.step(JobUpdateRequested{admin(), ReplyId(4), id, Money{micros}, {}});
    return code(cluster);
  };
  const JobId id = cluster.submit(a_job().with_units(100).with_cap(10'000));
  EXPECT_EQ(set_cap(id, 20'000), Code::kOk);  // QUEUED
  const WorkerId worker = cluster.joined(a_worker());
  const SeatKey seat = cluster.seat(id);
  const Duration funded = cluster.state().find_seat(seat)->funded_for;
  EXPECT_EQ(set_cap(id, funded.count() - 1), Code::kFailedPrecondition);  // STARTING
  EXPECT_TRUE(cluster.out.facts.empty());
  EXPECT_EQ(set_cap(id, funded.count()), Code::kOk);
  cluster.began(seat);
  EXPECT_EQ(set_cap(id, 30'000), Code::kOk);  // RUNNING
  cluster.run_for(Duration(2'000));
  cluster.beat(worker, {{seat, Duration(2'000), {}, 0, false}});
  cluster.act(id, JobAction::kPause);
  EXPECT_EQ(set_cap(id, 25'000), Code::kOk);  // STOPPING
  cluster.end(seat, Duration(2'000));
  EXPECT_EQ(set_cap(id, 1'999), Code::kFailedPrecondition);  // PAUSED, 2,000 spent
  EXPECT_EQ(set_cap(id, 2'000), Code::kOk);
  EXPECT_EQ(cluster.facts<JobUpdated>().at(0).cap, Money{2'000});
  cluster.act(id, JobAction::kResume);
  EXPECT_EQ(code(cluster), Code::kFailedPrecondition);  // no room for another second
}

TEST(Actions, AJobPausesAtItsTimeLimitAndResumeGivesItAnew) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(100).with_time_limit(Duration(10'000)));
  for (int attempt = 1; attempt <= 2; ++attempt) {
    const SeatKey seat = cluster.seat(id);
    cluster.began(seat);
    cluster.run_for(Duration(9'999));
    EXPECT_EQ(cluster.job(id).state, JobState::kRunning);
    cluster.run_for(Duration(1));
    EXPECT_EQ(cluster.job(id).state, JobState::kStopping);
    EXPECT_EQ(cluster.job(id).cause, Cause::kTimeLimit);
    EXPECT_EQ(cluster.job(id).state_actor, 0U);
    EXPECT_EQ(cluster.state().find_seat(seat)->stop_cause, Cause::kTimeLimit);
    cluster.end(seat, Duration(10'000));
    EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
    EXPECT_EQ(cluster.job(id).ran,
              attempt * Duration(10'000));  // all of it: rates are taken over it
    cluster.beat(worker);
    cluster.act(id, JobAction::kResume);
  }
}

TEST(Actions, AJobWhoseResultHasNoRoomIsPausedAndTriedAgainWhenResumed) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(100));
  cluster.step(ResultRefused{JobId(99), "no such job"});
  EXPECT_TRUE(cluster.out.facts.empty());
  for (int attempt = 1; attempt <= 2; ++attempt) {
    const SeatKey seat = cluster.seat(id);
    if (attempt == 2) cluster.began(seat);
    cluster.step(ResultRefused{id, "1 KiB free"});
    EXPECT_EQ(cluster.job(id).state, JobState::kStopping);
    EXPECT_EQ(cluster.state().find_seat(seat)->stop_cause, Cause::kNoRoom);
    EXPECT_EQ(cluster.job(id).state_actor, 0U);
    cluster.step(ResultRefused{id, "said twice"});
    EXPECT_TRUE(cluster.out.facts.empty());
    cluster.end(seat, Duration(10));
    EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
    EXPECT_EQ(
        cluster.job(id).reason.find("1 KiB free; when there is room: overwinter jobs resume "), 0U)
        << cluster.job(id).reason;
    cluster.beat(worker);
    cluster.act(id, JobAction::kResume);
    EXPECT_EQ(code(cluster), Code::kOk);
  }
  EXPECT_EQ(cluster.last<PrepareResult>().job, id);
}

TEST(Actions, ASeatThatDoesNotStopInTimeIsFenced) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(3).with_stop_time(Duration(2'000)));
  const SeatKey seat = cluster.seat(id);
  cluster.began(seat);
  cluster.act(id, JobAction::kPause);
  cluster.run_for(Duration(6'999));  // stop_time and 5 s for the way
  EXPECT_NE(cluster.state().find_seat(seat), nullptr);
  cluster.beat(worker, {{seat, Duration(1'000), {}, 0, true}});
  cluster.run_for(Duration(1));
  EXPECT_EQ(cluster.state().find_seat(seat), nullptr);
  ASSERT_EQ(cluster.all<Welcome>().size(), 1U);
  EXPECT_EQ(cluster.all<Welcome>()[0].drop, std::vector<SeatKey>{seat});
  EXPECT_EQ(cluster.job(id).state, JobState::kPaused);
}

TEST(Actions, AStragglersRestIsHandedOutAgainAndTheFirstResultWins) {
  TestCluster cluster;
  cluster.joined(a_worker().named("a"));
  cluster.joined(a_worker().named("b"));
  const JobId id = cluster.submit(a_job().with_units(2).with_seats(2, 2).with_range_max(1));
  const SeatKey slow = cluster.seat(id, 0);
  const SeatKey quick = cluster.seat(id, 1);
  cluster.began(slow);
  cluster.began(quick);
  cluster.run_for(Duration(1'000));
  cluster.land(quick, units(1, 2));
  EXPECT_EQ(cluster.last<HandOutUnits>().seat, quick);
  EXPECT_EQ(cluster.last<HandOutUnits>().units, units(0, 1));
  EXPECT_EQ(cluster.soft().jobs.at(id).doubled, units(0, 1));
  cluster.land(quick, units(0, 1));
  EXPECT_EQ(cluster.all<ReclaimUnits>().at(0).seat, slow);
  EXPECT_EQ(cluster.all<ReclaimUnits>().at(0).units, units(0, 1));
  EXPECT_EQ(cluster.facts<UnitsDone>().size(), 1U);
  cluster.land(slow, units(0, 1));  // late
  EXPECT_TRUE(cluster.facts<UnitsDone>().empty());
}

// What is known of the old plan's units must not outlive it.
TEST(Actions, AJobPlannedAnewHandsOutTheNewPlansUnits) {
  TestCluster cluster;
  const WorkerId worker = cluster.joined(a_worker());
  const JobId busy = cluster.submit(a_job());
  const JobId id = cluster.submit(a_job().with_units(2));  // waits: there is no room
  ASSERT_EQ(cluster.job(id).state, JobState::kQueued);
  JobReplanned planned;
  planned.job = id;
  planned.alternatives = {{a_job().with_units(5).demand(), nullptr}};
  cluster.step(planned);
  EXPECT_EQ(cluster.facts<JobDemandChanged>().size(), 1U);
  const SeatKey first = cluster.seat(busy);
  cluster.began(first);
  cluster.land(first, units(0, 1));
  cluster.end(first, Duration(0));
  const SeatKey seat = cluster.seat(id);
  ASSERT_EQ(cluster.state().find_seat(seat)->worker, worker);
  cluster.began(seat);
  UnitRanges known = cluster.soft().jobs.at(id).pool;
  known.add(cluster.soft().jobs.at(id).seats.at(seat.number).out);
  EXPECT_EQ(known, units(0, 5));
}

}  // namespace
}  // namespace overwinter::core::test
