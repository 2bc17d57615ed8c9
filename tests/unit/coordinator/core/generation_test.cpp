// A cluster that was brought back from a backup: its seats are lost as of the backup, numbers that
// may have been given since are not given again, and what a worker holds of the lost generation is
// dropped.
#include <gtest/gtest.h>

#include "tests/unit/coordinator/core/shop.h"

namespace overwinter::core::test {
namespace {

// The cluster's facts as a backup has them, restored: as the coordinator's --restore does.
struct RestoredCluster {
  explicit RestoredCluster(const TestCluster& before) {
    Scheduler replayed(SchedulerConfig{});
    for (const auto& [time, fact] : before.log) replayed.replay(time, fact);
    scheduler.emplace(std::move(replayed));
    now = scheduler->state().last_time;
    step(BackupRestored{77, before.log.size(), now, now + Duration(60'000)});
  }
  void step(const Event& event) { scheduler->step(now, event, out); }
  template <class T, class From>
  [[nodiscard]] static std::vector<T> of(const From& all) {
    std::vector<T> found;
    for (const auto& one : all) {
      if (const T* t = std::get_if<T>(&one)) found.push_back(*t);
    }
    return found;
  }
  [[nodiscard]] const Job& job(JobId id) const { return scheduler->state().jobs.at(id); }
  [[nodiscard]] const Worker& worker(WorkerId id) const {
    return scheduler->state().workers.at(id);
  }

  std::optional<Scheduler> scheduler;
  Outcome out;
  Time now{};
};

struct Running : Shop {
  JobId id;
  SeatKey seat;
  Running() {
    id = cluster.submit(a_job().with_units(4));
    seat = cluster.seat(id);
    cluster.began(seat);
    cluster.land(seat, units(0, 1));
    work_until(seat, cluster.now + Duration(5'000));
  }
};

TEST(Generation, ARestoreLosesEverySeatAndPutsTheJobBackWithItsUnits) {
  Running shop;
  RestoredCluster restored(shop.cluster);
  const Job& job = restored.job(shop.id);
  EXPECT_EQ(job.state, JobState::kQueued);
  EXPECT_EQ(job.cause, Cause::kWorkerLost);
  EXPECT_TRUE(job.seats.empty());
  EXPECT_EQ(job.done, units(0, 1));
  EXPECT_NE(job.reason.find("restored from a backup of"), std::string::npos) << job.reason;
  const auto released = RestoredCluster::of<SeatReleased>(restored.out.facts);
  ASSERT_EQ(released.size(), 1U);
  EXPECT_EQ(released[0].end, SeatEnd::kLost);
  EXPECT_EQ(restored.worker(shop.worker).state, WorkerState::kLost);
}

// What was charged stays; of the open slice only durable evidence counts; and nothing of the time
// between the backup and the restore is the job's.
TEST(Generation, TheBillIsThatOfTheBackup) {
  Running shop;
  const ledger::Charge before = shop.cluster.job(shop.id).charged;
  RestoredCluster restored(shop.cluster);
  EXPECT_GE(restored.job(shop.id).charged, before);
  EXPECT_EQ(restored.job(shop.id).reserved, ledger::Charge{});
  const ledger::Charge bill = restored.job(shop.id).charged;
  const Duration ran = restored.job(shop.id).ran;
  restored.now += std::chrono::hours(48);
  restored.step(CoordinatorStarted{});
  EXPECT_EQ(restored.job(shop.id).charged, bill);
  EXPECT_EQ(restored.job(shop.id).ran, ran);
  restored.step(WorkerHello{shop.worker, Incarnation(2), a_worker().machine(), {}, 0, true});
  const auto charged = RestoredCluster::of<MachineCharged>(restored.out.facts);
  ledger::Charge lost;
  ledger::Charge total;
  for (const auto& slice : charged) {
    lost = lost + slice.lost;
    total = total + slice.total;
  }
  EXPECT_GT(total, ledger::Charge{});
  EXPECT_EQ(lost, total);
}

TEST(Generation, WhatSeatsUsedUntilABackupIsBilledWhenItIsRestored) {
  Running shop;
  const Seat seat = *shop.cluster.state().find_seat(shop.seat);
  const Duration used = shop.cluster.now - seat.granted_at;
  shop.cluster.step(UseKeptRequested{ReplyId(9)});
  RestoredCluster restored(shop.cluster);
  EXPECT_EQ(restored.job(shop.id).charged,
            ledger::charge_for(seat.device_price_per_hour, used, seat.share_ppm));
  EXPECT_GT(restored.job(shop.id).charged, ledger::Charge{});
  // Of a worker that has been silent nobody knows.
  shop.cluster.run_for(Duration(3500));
  shop.cluster.step(UseKeptRequested{ReplyId(10)});
  EXPECT_TRUE(shop.cluster.facts<ReportsProcessed>().empty());
}

TEST(Generation, NoNumberOfALostGenerationIsGivenAgain) {
  Running shop;
  RestoredCluster restored(shop.cluster);
  restored.step(CoordinatorStarted{});
  restored.step(WorkerHello{shop.worker, Incarnation(1), a_worker().machine(), {}, 0, true});
  EXPECT_EQ(restored.job(shop.id).attempt, kAttemptsOfGeneration + 1);
  restored.step(a_job().build());
  const auto accepted = RestoredCluster::of<JobAccepted>(restored.out.facts);
  ASSERT_EQ(accepted.size(), 1U);
  EXPECT_EQ(accepted[0].job.value(), kIdsOfGeneration + 1);
  restored.step(a_job().build());
  EXPECT_EQ(RestoredCluster::of<JobAccepted>(restored.out.facts).at(0).job.value(),
            kIdsOfGeneration + 2);
  TokenCreateRequested token;
  token.by = admin();
  restored.step(token);
  EXPECT_EQ(RestoredCluster::of<TokenCreated>(restored.out.facts).at(0).id.value(),
            kIdsOfGeneration + 1);
}

TEST(Generation, ARestoreIsAFactThatNamesTheBackup) {
  Running shop;
  RestoredCluster restored(shop.cluster);
  const auto facts = RestoredCluster::of<ClusterRestored>(restored.out.facts);
  ASSERT_EQ(facts.size(), 1U);
  const StoreGeneration first{2, 77, shop.cluster.log.size(), restored.now,
                              restored.now + Duration(60'000)};
  EXPECT_EQ(facts[0].generation, first);
  EXPECT_EQ(restored.scheduler->state().generation, first);
  restored.step(BackupRestored{78, 9, restored.now, restored.now});
  EXPECT_EQ(restored.scheduler->state().generation.number, 3U);
}

TEST(Generation, TheFirstGenerationCountsFromOne) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job());
  EXPECT_EQ(id, JobId(1));
  EXPECT_EQ(cluster.job(id).attempt, 1U);
}

// A worker goes on through the backup and the restore with seats and reports of the lost time.
TEST(Generation, AWorkersSeatsAndReportsOfTheLostGenerationAreTakenAsOver) {
  Running shop;
  RestoredCluster restored(shop.cluster);
  restored.step(CoordinatorStarted{});
  const SeatKey later{JobId(77), 3, 9};
  WorkerHello hello{
      shop.worker,
      Incarnation(1),
      a_worker().machine(),
      {{shop.seat, Duration(9'000), units(1, 2), 0, false}, {later, Duration(100), {}, 0, false}},
      41,
      true};
  restored.step(hello);
  const auto welcomes = RestoredCluster::of<Welcome>(restored.out.effects);
  ASSERT_EQ(welcomes.size(), 1U);
  EXPECT_EQ(welcomes[0].drop, (std::vector<SeatKey>{shop.seat, later}));
  EXPECT_TRUE(welcomes[0].keep.empty());
  EXPECT_EQ(welcomes[0].acknowledged, 41U);
  EXPECT_EQ(restored.worker(shop.worker).reports_processed, 41U);
  EXPECT_EQ(restored.worker(shop.worker).state, WorkerState::kReady);
  // Its next report counts, and its next Hello is an ordinary one.
  const SeatKey fresh = restored.job(shop.id).seats.begin()->second.key;
  restored.step(WorkerReported{shop.worker, Incarnation(1), 42, SeatBegan{fresh}});
  EXPECT_EQ(restored.worker(shop.worker).reports_processed, 42U);
  EXPECT_EQ(restored.job(shop.id).state, JobState::kRunning);
}

TEST(Generation, AGangGoesOnFromTheCheckpointThatTheBackupKnows) {
  Shop shop;
  const JobId id = shop.cluster.submit(a_job().as_gang(1, 1));
  const AttemptNumber attempt = shop.cluster.job(id).attempt;
  ASSERT_EQ(attempt, 1U);
  shop.cluster.step(CheckpointStored{id, attempt, 100});
  RestoredCluster restored(shop.cluster);
  EXPECT_EQ(restored.job(id).state, JobState::kQueued);
  restored.step(CoordinatorStarted{});
  restored.step(WorkerHello{shop.worker, Incarnation(1), a_worker().machine(), {}, 0, true});
  EXPECT_EQ(restored.job(id).state, JobState::kStarting);
  EXPECT_EQ(restored.job(id).checkpoint_step, 100U);
  const auto offers = RestoredCluster::of<OfferSeat>(restored.out.effects);
  ASSERT_EQ(offers.size(), 1U);
  EXPECT_EQ(offers[0].from_step, 100U);
  EXPECT_EQ(offers[0].seat.attempt, kAttemptsOfGeneration + 1);
}

TEST(Generation, AWorkerThatWasLeavingIsRemovedWithItsLastSeat) {
  Running shop;
  shop.cluster.act(shop.worker, WorkerAction::kRemove);
  ASSERT_EQ(shop.cluster.worker(shop.worker).state, WorkerState::kDraining);
  RestoredCluster restored(shop.cluster);
  EXPECT_EQ(restored.worker(shop.worker).state, WorkerState::kRemoved);
  EXPECT_EQ(restored.job(shop.id).state, JobState::kQueued);
}

}  // namespace
}  // namespace overwinter::core::test
