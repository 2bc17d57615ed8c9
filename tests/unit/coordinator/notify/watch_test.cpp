#include "coordinator/notify/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace overwinter::notify {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Phase = JobSeen::Phase;

constexpr Time kNow = time_from_unix_ms(1'764'000'000'000);

JobSeen job(Phase phase, Duration since = Duration(0)) {
  JobSeen out;
  out.id = JobId(7);
  out.project = "demo";
  out.name = "mm";
  out.phase = phase;
  out.state = "STATE";
  out.reason = "because";
  out.since = kNow + since;
  return out;
}

WorkerSeen worker(std::uint32_t seats = 0, std::int64_t price_micros = 360'000) {
  WorkerSeen out;
  out.id = WorkerId(3);
  out.name = "w-3";
  out.state = "READY";
  out.price_per_hour = Money{price_micros};
  out.seats = seats;
  return out;
}

std::vector<std::string> names(const std::vector<Notice>& notices) {
  std::vector<std::string> out;
  for (const Notice& one : notices) out.emplace_back(event_name(one.event));
  return out;
}

TEST(NotifyWatch, AFailedJobIsToldOnce) {
  Watch watch;
  EXPECT_THAT(watch.see_job(job(Phase::kActive), kNow), IsEmpty());
  const auto told = watch.see_job(job(Phase::kFailed), kNow);
  ASSERT_THAT(names(told), ElementsAre("failed"));
  EXPECT_EQ(told[0].owner, "job 7");
  EXPECT_EQ(told[0].key, "failed");
  EXPECT_EQ(told[0].sentence, "because");
  EXPECT_EQ(told[0].at, kNow);
  EXPECT_THAT(watch.see_job(job(Phase::kFailed), kNow), IsEmpty());
}

TEST(NotifyWatch, TheSameStateGivesTheSameKeyInAnotherRun) {
  Watch first;
  Watch second;
  const auto a = first.see_job(job(Phase::kPaused), kNow);
  const auto b = second.see_job(job(Phase::kPaused), kNow + Duration(99'000));
  ASSERT_EQ(a.size(), 1U);
  ASSERT_EQ(b.size(), 1U);
  EXPECT_EQ(a[0].key, b[0].key);
  EXPECT_EQ(a[0].at, b[0].at);
}

TEST(NotifyWatch, APauseByAPersonIsNotTold) {
  Watch watch;
  JobSeen paused = job(Phase::kPaused);
  paused.by_person = true;
  EXPECT_THAT(watch.see_job(paused, kNow), IsEmpty());
}

TEST(NotifyWatch, EachPauseIsTold) {
  Watch watch;
  EXPECT_THAT(names(watch.see_job(job(Phase::kPaused), kNow)), ElementsAre("paused"));
  EXPECT_THAT(watch.see_job(job(Phase::kActive, Duration(10)), kNow), IsEmpty());
  EXPECT_THAT(names(watch.see_job(job(Phase::kPaused, Duration(20)), kNow)), ElementsAre("paused"));
}

TEST(NotifyWatch, JobsThatEndWellOrByAPersonAreNotTold) {
  Watch watch;
  EXPECT_THAT(watch.see_job(job(Phase::kEnded), kNow), IsEmpty());
  EXPECT_THAT(watch.jobs(), IsEmpty()) << "nothing is kept of them";
}

TEST(NotifyWatch, EightyPercentOfACapOnceACap) {
  Watch watch;
  JobSeen running = job(Phase::kActive);
  running.cap = Money{1'000'000};
  running.held = Money{799'999};
  EXPECT_THAT(watch.see_job(running, kNow), IsEmpty());
  running.held = Money{800'000};
  const auto told = watch.see_job(running, kNow + Duration(5));
  ASSERT_THAT(names(told), ElementsAre("cap-80"));
  EXPECT_EQ(told[0].at, kNow + Duration(5));
  EXPECT_EQ(told[0].cap, Money{1'000'000});
  running.held = Money{900'000};
  EXPECT_THAT(watch.see_job(running, kNow), IsEmpty());
  running.cap = Money{2'000'000};
  EXPECT_THAT(watch.see_job(running, kNow), IsEmpty());
  running.held = Money{1'700'000};
  EXPECT_THAT(names(watch.see_job(running, kNow)), ElementsAre("cap-80"));
}

TEST(NotifyWatch, AJobThatItsCapPausesPassedEightyPercentFirst) {
  Watch watch;
  JobSeen paused = job(Phase::kPaused);
  paused.cap = Money{100};
  paused.held = Money{99};
  EXPECT_THAT(names(watch.see_job(paused, kNow)), ElementsAre("cap-80", "paused"));
}

TEST(NotifyWatch, ACapOfNothingIsNotPassed) {
  Watch watch;
  JobSeen queued = job(Phase::kQueued);
  queued.cap = Money{};
  EXPECT_THAT(watch.see_job(queued, kNow), IsEmpty());
}

TEST(NotifyWatch, AJobThatWaitsForAnHour) {
  Watch watch;
  EXPECT_THAT(watch.see_job(job(Phase::kQueued), kNow), IsEmpty());
  EXPECT_THAT(watch.see_time(kNow + kWaitingMax - Duration(1)), IsEmpty());
  const auto told = watch.see_time(kNow + kWaitingMax);
  ASSERT_THAT(names(told), ElementsAre("waiting-1h"));
  EXPECT_EQ(told[0].at, kNow + kWaitingMax);
  EXPECT_THAT(watch.see_time(kNow + kWaitingMax * 3), IsEmpty());
  // It is seen again, still queued since then (a new cap, a new plan).
  EXPECT_THAT(watch.see_job(job(Phase::kQueued), kNow), IsEmpty());
  EXPECT_THAT(watch.see_time(kNow + kWaitingMax * 3), IsEmpty());
}

TEST(NotifyWatch, AJobThatStartedWaitsNoMore) {
  Watch watch;
  EXPECT_THAT(watch.see_job(job(Phase::kQueued), kNow), IsEmpty());
  EXPECT_THAT(watch.see_job(job(Phase::kActive, Duration(5)), kNow), IsEmpty());
  EXPECT_THAT(watch.see_time(kNow + kWaitingMax * 2), IsEmpty());
}

TEST(NotifyWatch, AJobThatIsGoneIsOver) {
  Watch watch;
  EXPECT_EQ(watch.see_job(job(Phase::kFailed), kNow).size(), 1U);
  EXPECT_THAT(watch.jobs(), ElementsAre(JobId(7)));
  watch.forget_job(JobId(7));
  EXPECT_THAT(watch.take_over(), ElementsAre("job 7"));
  EXPECT_THAT(watch.jobs(), IsEmpty());
}

TEST(NotifyWatch, EachLossOfAWorkerIsTold) {
  Watch watch;
  WorkerSeen lost = worker();
  lost.phase = WorkerSeen::Phase::kLost;
  lost.since = kNow;
  lost.reason = "silent for 20s";
  const auto told = watch.see_workers({&lost, 1}, kNow);
  ASSERT_THAT(names(told), ElementsAre("worker-lost"));
  EXPECT_EQ(told[0].sentence, "silent for 20s");
  EXPECT_THAT(watch.see_workers({&lost, 1}, kNow + Duration(5)), IsEmpty());
  const WorkerSeen back = worker(1);
  EXPECT_THAT(watch.see_workers({&back, 1}, kNow + Duration(6)), IsEmpty());
  lost.since = kNow + Duration(9);
  EXPECT_THAT(names(watch.see_workers({&lost, 1}, kNow + Duration(9))), ElementsAre("worker-lost"));
}

TEST(NotifyWatch, AnIdleMachineIsToldWithWhatItCost) {
  Watch watch;
  const WorkerSeen idle = worker();
  for (int minute = 0; minute < 30; ++minute)
    EXPECT_THAT(watch.see_workers({&idle, 1}, kNow + std::chrono::minutes(minute)), IsEmpty());
  const auto told = watch.see_workers({&idle, 1}, kNow + std::chrono::minutes(30));
  ASSERT_THAT(names(told), ElementsAre("idle"));
  EXPECT_EQ(told[0].charged, Money{180'000}) << "half an hour at 0.36";
  EXPECT_EQ(told[0].sentence, "it has had no work for 30m 0s and costs 0.36 an hour");
  EXPECT_THAT(watch.see_workers({&idle, 1}, kNow + std::chrono::hours(9)), IsEmpty());
}

TEST(NotifyWatch, APriceThatChangesCountsFromThenOn) {
  Watch watch;
  WorkerSeen idle = worker(0, 1'000'000);
  EXPECT_THAT(watch.see_workers({&idle, 1}, kNow), IsEmpty());
  EXPECT_THAT(watch.see_workers({&idle, 1}, kNow + std::chrono::minutes(15)), IsEmpty());
  idle.price_per_hour = Money{2'000'000};
  const auto told = watch.see_workers({&idle, 1}, kNow + std::chrono::minutes(30));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].charged, Money{750'000});
}

TEST(NotifyWatch, WorkEndsAnIdleTimeAndTheNextOneIsToldAgain) {
  Watch watch;
  watch.set_idle({Duration(1'000), {}});
  const WorkerSeen idle = worker();
  const WorkerSeen busy = worker(1);
  EXPECT_THAT(watch.see_workers({&idle, 1}, kNow), IsEmpty());
  EXPECT_THAT(names(watch.see_workers({&idle, 1}, kNow + Duration(1'000))), ElementsAre("idle"));
  EXPECT_THAT(watch.take_over(), IsEmpty());
  EXPECT_THAT(watch.see_workers({&busy, 1}, kNow + Duration(2'000)), IsEmpty());
  EXPECT_THAT(watch.take_over(), ElementsAre("idle 3"));
  EXPECT_THAT(watch.see_workers({&idle, 1}, kNow + Duration(3'000)), IsEmpty());
  EXPECT_THAT(names(watch.see_workers({&idle, 1}, kNow + Duration(4'000))), ElementsAre("idle"));
}

TEST(NotifyWatch, MachinesThatAreNotIdle) {
  Watch watch;
  watch.set_idle({Duration(1'000), {"w-4"}});
  WorkerSeen other = worker();
  WorkerSeen free = worker(0, 0);
  free.id = WorkerId(4);
  free.name = "w-4";
  WorkerSeen lost = worker();
  lost.id = WorkerId(5);
  lost.name = "w-4";
  lost.phase = WorkerSeen::Phase::kLost;
  lost.since = kNow;
  const std::vector<WorkerSeen> all{other, free, lost};
  EXPECT_THAT(names(watch.see_workers(all, kNow)), ElementsAre("worker-lost"));
  EXPECT_THAT(watch.see_workers(all, kNow + std::chrono::hours(1)), IsEmpty());
}

TEST(NotifyWatch, AMachineThatIsGoneIsOver) {
  Watch watch;
  const WorkerSeen busy = worker(1);
  EXPECT_THAT(watch.see_workers({&busy, 1}, kNow), IsEmpty());
  EXPECT_THAT(watch.take_over(), ElementsAre("idle 3")) << "of an earlier run of the program";
  WorkerSeen removed = worker();
  removed.phase = WorkerSeen::Phase::kGone;
  EXPECT_THAT(watch.see_workers({&removed, 1}, kNow), IsEmpty());
  EXPECT_THAT(watch.take_over(), ElementsAre("worker 3", "idle 3"));
}

}  // namespace
}  // namespace overwinter::notify
