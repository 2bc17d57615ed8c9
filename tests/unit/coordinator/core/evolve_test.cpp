// evolve() is total: it applies any fact to any state, and numbers go on from what was seen.
#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core::test {
namespace {

using ledger::Charge;

// Facts about a job, a seat and a worker that are not there.
std::vector<Fact> facts_of_nobody() {
  const JobId job(70);
  const WorkerId worker(80);
  const SeatKey seat{job, 1, 1};
  const Incarnation incarnation(1);
  return {WorkerConnected{worker, incarnation, a_worker().machine()},
          WorkerStateChanged{worker, WorkerState::kReady, "", 0, false},
          ReportsProcessed{worker, incarnation, 1},
          JobDemandChanged{job, {}, nullptr},
          JobStateChanged{job, JobState::kRunning, Cause::kNone, 1, "", 0},
          JobUpdated{job, Money{1}, Priority::kLow, 0},
          UnitsDone{job, units(0, 1), seat},
          UnitsFailedCounted{job, seat, ""},
          JobForgotten{job},
          SeatGranted{seat, worker, incarnation, 0, 1, 1, 1, {}, Duration(1), {}},
          SeatFunded{seat, Duration(2), {}, {}},
          SeatStopping{seat, Cause::kDrain},
          SeatReleased{seat, SeatEnd::kLost, {}, 0, ""},
          UsageCharged{seat, {}, {}, Duration(1), {}, Charge{1}},
          MachineCharged{worker, {}, {}, Charge{1}, {}, {}},
          TokenRevoked{TokenId(9), 0},
          JoinFileRevoked{JoinFileId(9), 0}};
}

TEST(Evolve, AFactAboutWhatIsNotThereChangesNothing) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  ClusterState empty;
  ClusterState full = cluster.state();
  for (const Fact& fact : facts_of_nobody()) {
    for (ClusterState* state : {&empty, &full}) {
      ClusterState before = *state;
      evolve(*state, cluster.now, fact);
      before.last_time = cluster.now;
      EXPECT_TRUE(*state == before) << "fact " << fact.index();
    }
  }
  // Nor does one about a seat of another attempt, or on a worker that is not there.
  const ClusterState before = full;
  SeatKey old = cluster.seat(id);
  ++old.attempt;
  evolve(full, cluster.now, SeatStopping{old, Cause::kDrain});
  evolve(full, cluster.now, SeatFunded{old, Duration(1), Charge{9}, Money{1}});
  evolve(full, cluster.now, SeatGranted{{id, 1, 9}, WorkerId(80), {}, 0, 1, 1, 1, {}, {}, {}});
  evolve(full, cluster.now, ReportsProcessed{WorkerId(1), Incarnation(9), 7});
  evolve(full, cluster.now, UsageCharged{old, {}, {}, Duration(1), {}, Charge{1}});
  EXPECT_TRUE(full == before);
}

TEST(Evolve, ASeatOnADeviceThatItsWorkerHasNotNamedIsCounted) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_memory(64 * kGiB));
  ClusterState state = cluster.state();
  for (const DeviceIndex device : {0U, 1U, 3U}) {
    const SeatKey seat{id, 1, device + 1};
    evolve(state, cluster.now,
           SeatGranted{seat, WorkerId(1), Incarnation(1), device, 5, 1, 1, {}, {}, {}});
    EXPECT_EQ(state.workers.at(WorkerId(1)).use.size(), device + 1U);
    EXPECT_EQ(state.workers.at(WorkerId(1)).use.at(device).memory_bytes, 5U);
  }
}

TEST(Evolve, OnlyRunningCountsAsRunningAndTheFirstStartIsTheStart) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job().with_units(9));
  cluster.run_for(Duration(5'000));
  cluster.joined(a_worker());
  const Time started = cluster.now;
  for (int attempt = 1; attempt <= 2; ++attempt) {
    cluster.run_for(Duration(3'000));
    ASSERT_EQ(cluster.job(id).state, JobState::kStarting);
    EXPECT_FALSE(cluster.job(id).running_since);
    cluster.began(cluster.seat(id));
    EXPECT_EQ(cluster.job(id).running_since, cluster.now);
    EXPECT_EQ(cluster.job(id).attempt, static_cast<AttemptNumber>(attempt));
    cluster.run_for(Duration(2'000));
    cluster.act(id, JobAction::kPause);
    cluster.run_for(Duration(500));
    cluster.end(cluster.seat(id), Duration(0));
    EXPECT_EQ(cluster.job(id).ran, attempt * Duration(2'000));
    EXPECT_EQ(cluster.job(id).started_at, started);
    cluster.act(id, JobAction::kResume);
  }
}

// A worker, and a job that never fits: its seats are made by hand.
struct Held {
  TestCluster cluster;
  const WorkerId id = cluster.joined(a_worker());
  const JobId job = cluster.submit(a_job().with_memory(64 * kGiB));
  ClusterState state = cluster.state();
  const Worker& worker = state.workers.at(id);
  Time now = cluster.now;
};

// Every `gap` from one seat to the next, each held for a second.
void hold_seats(ClusterState& state, WorkerId worker, JobId job, int count, Time& now,
                Duration gap) {
  for (int i = 0; i < count; ++i) {
    const SeatKey seat{job, 1, 100};
    evolve(state, now, SeatGranted{seat, worker, Incarnation(1), 0, 1, 1, 1, {}, {}, {}});
    now += Duration(1000);
    evolve(state, now, SeatReleased{seat, SeatEnd::kFinished, {}, 0, ""});
    now += gap;
  }
}

TEST(Evolve, AWorkerIsBusyFromItsFirstSeatToItsLast) {
  Held held;
  auto& [cluster, id, job, state, worker, now] = held;
  const Time first = now;
  const auto grant = [&](std::uint32_t number) {
    evolve(state, now, SeatGranted{{job, 1, number}, id, Incarnation(1), 0, 1, 1, 1, {}, {}, {}});
  };
  const auto release = [&](std::uint32_t number) {
    evolve(state, now, SeatReleased{{job, 1, number}, SeatEnd::kFinished, {}, 0, ""});
  };
  grant(1);
  EXPECT_EQ(worker.busy_since, first);
  now += Duration(2000);
  grant(2);
  release(1);
  EXPECT_EQ(worker.busy_since, first);
  EXPECT_TRUE(worker.busy.empty());
  now += Duration(3000);
  release(2);
  EXPECT_FALSE(worker.busy_since);
  EXPECT_EQ(worker.busy, (std::vector<BusySpan>{{first, first + Duration(5000)}}));
  // An hour after it ended nobody asks for it any more.
  now = first + Duration(5000) + kBusyKept;
  grant(3);
  EXPECT_TRUE(worker.busy.empty());
  release(3);
  EXPECT_TRUE(worker.busy.empty()) << "it was held for no time";
}

TEST(Evolve, OfTooManyBusyTimesTheClosestTwoBecomeOne) {
  Held held;
  auto& [cluster, id, job, state, worker, now] = held;
  hold_seats(state, id, job, 10, now, Duration(9000));
  hold_seats(state, id, job, 1, now, Duration(500));
  hold_seats(state, id, job, kBusySpansMax - 11, now, Duration(9000));
  ASSERT_EQ(worker.busy.size(), kBusySpansMax);
  hold_seats(state, id, job, 1, now, Duration(9000));
  ASSERT_EQ(worker.busy.size(), kBusySpansMax);
  for (std::size_t i = 0; i < kBusySpansMax; ++i) {
    const Duration length = worker.busy[i].until - worker.busy[i].from;
    EXPECT_EQ(length, Duration(i == 10 ? 2500 : 1000)) << i;
  }
}

TEST(Evolve, LossesAreKeptForThirtyDaysAndAtMostAHundred) {
  TestCluster cluster;
  const WorkerId id = cluster.joined(a_worker());
  ClusterState state = cluster.state();
  const Worker& worker = state.workers.at(id);
  Time now = cluster.now;
  const auto become = [&](WorkerState next) {
    evolve(state, now, WorkerStateChanged{id, next, "", 0, false});
  };
  become(WorkerState::kLost);
  become(WorkerState::kDraining);  // noted while it is lost: no second loss
  EXPECT_EQ(worker.lost_at, std::vector<Time>{now});
  become(WorkerState::kReady);
  now += kLossesKept - Duration(1);
  become(WorkerState::kLost);
  EXPECT_EQ(worker.lost_at.size(), 2U);
  become(WorkerState::kReady);
  now += Duration(1);
  become(WorkerState::kLost);
  EXPECT_EQ(worker.lost_at, (std::vector<Time>{now - Duration(1), now}));
  for (std::size_t i = 0; i < kLossesMax + 5; ++i) {
    become(WorkerState::kReady);
    now += Duration(1);
    become(WorkerState::kLost);
  }
  EXPECT_EQ(worker.lost_at.size(), kLossesMax);
  EXPECT_EQ(worker.lost_at.back(), now);
}

// So that a reader of facts need not know what was left out.
TEST(Evolve, ARecordOfNothingHoldsNothing) {
  const Seat seat;
  EXPECT_EQ(seat.device + seat.threads + seat.share_ppm, 0U);
  EXPECT_EQ(seat.memory_bytes, 0U);
  EXPECT_EQ(seat.funded_for, Duration(0));
  EXPECT_EQ(JobRecord{}.submitter, 0U);
  EXPECT_EQ(Worker{}.reports_processed, 0U);
  EXPECT_EQ(JoinFile{}.uses, 1U);
  EXPECT_EQ(JoinFile{}.used, 0U);
}

TEST(Evolve, DigestsTellLongTextsApart) {
  ClusterState a;
  ClusterState b;
  a.cluster = "a-long-name";
  b.cluster = "b-long-name";
  EXPECT_NE(digest(a), digest(b));
  b.cluster = "a-long-namf";
  EXPECT_NE(digest(a), digest(b));
  a.cluster = "12345678";
  b.cluster = "02345678";
  EXPECT_NE(digest(a), digest(b));
  a.cluster = "x12345678";
  b.cluster = "y12345678";
  EXPECT_NE(digest(a), digest(b));
}

TEST(Evolve, TimeNeverGoesBack) {
  ClusterState state;
  const Time late = time_from_unix_ms(2'000);
  evolve(state, late, ClusterCreated{"c", 1});
  evolve(state, time_from_unix_ms(1'000), ProjectCreated{"p", 0});
  EXPECT_EQ(state.last_time, late);
}

TEST(Evolve, NumbersGoOnFromTheLargestSeen) {
  TestCluster cluster;  // has made join file 1
  JoinFileCreateRequested join;
  join.by = admin();
  join.reply = ReplyId(2);
  cluster.step(join);
  EXPECT_EQ(cluster.last<Reply>().join_file, JoinFileId(2));
  for (std::uint64_t n = 1; n <= 2; ++n) {
    cluster.step(TokenCreateRequested{admin(), ReplyId(2), {}, Role::kViewer, "", "t", {}});
    EXPECT_EQ(cluster.last<Reply>().token, TokenId(n));
    EXPECT_EQ(cluster.join(a_worker()), WorkerId(n));
    EXPECT_EQ(cluster.submit(a_job()), JobId(n));
  }
  ClusterState state = cluster.state();
  evolve(state, cluster.now, TokenCreated{TokenId(1), {}, Role::kViewer, "", "", {}, 0});
  evolve(state, cluster.now, JoinFileCreated{JoinFileId(1), 1, {}, "", {}, false, 0});
  JobAccepted job;
  job.job = JobId(1);
  evolve(state, cluster.now, job);
  WorkerRegistered worker;
  worker.worker = WorkerId(1);
  evolve(state, cluster.now, worker);
  EXPECT_EQ(state.next_token, 3U);
  EXPECT_EQ(state.next_join_file, 3U);
  EXPECT_EQ(state.next_job, 3U);
  EXPECT_EQ(state.next_worker, 3U);
}

TEST(Evolve, AClusterThatNeverStartedHasNothingAndCountsFromOne) {
  const ClusterState state;
  EXPECT_EQ(state.seed, 0U);
  EXPECT_EQ(state.next_job, 1U);
  EXPECT_EQ(state.next_worker, 1U);
  EXPECT_EQ(state.next_token, 1U);
  EXPECT_EQ(state.next_join_file, 1U);
}

TEST(Evolve, ANewJobAndItsFirstSeatHaveUsedNothing) {
  TestCluster cluster;
  const JobId waiting = cluster.submit(a_job().with_memory(kGiB).by(submitter(7)));
  const Job& fresh = cluster.job(waiting);
  EXPECT_EQ(fresh.attempt, 0U);
  EXPECT_EQ(fresh.state_actor, 0U);
  EXPECT_EQ(fresh.submitter, 7U);
  EXPECT_EQ(fresh.ran, Duration(0));
  EXPECT_EQ(fresh.ran_at_resume, Duration(0));
  EXPECT_EQ(fresh.failures, 0U);
  EXPECT_EQ(fresh.memory_peak_bytes, 0U);
  EXPECT_EQ(fresh.charged, Charge{});
  EXPECT_FALSE(fresh.started_at);
  EXPECT_FALSE(fresh.running_since);
  cluster.joined(a_worker());
  const SeatKey key = cluster.seat(waiting);
  EXPECT_EQ(key.attempt, 1U);
  EXPECT_EQ(key.number, 1U);
  const Seat& seat = *cluster.state().find_seat(key);
  EXPECT_EQ(seat.used_charged, Duration(0));
  EXPECT_EQ(seat.charged, Charge{});
  EXPECT_EQ(seat.device, 0U);
  const DeviceUse& use = cluster.worker(seat.worker).use[0];
  EXPECT_EQ(use.memory_bytes, kGiB);
  EXPECT_EQ(use.threads, 4U);
  EXPECT_EQ(use.share_ppm, 1'000'000U);
  EXPECT_EQ(use.seats, 1U);
  cluster.began(key);
  cluster.end(key, Duration(0), SeatEnd::kLeaving);
  EXPECT_EQ(cluster.worker(WorkerId(1)).use[0], (DeviceUse{0, 0, 0, 0}));
  EXPECT_EQ(cluster.soft().jobs.at(waiting).unresolved, 0U);
}

TEST(Evolve, ABookThatIsReplacedInItsInstantWasNeverInForce) {
  ClusterState state;
  const Time first = time_from_unix_ms(1'000);
  const Time second = time_from_unix_ms(2'000);
  WorkerRegistered worker;
  worker.worker = WorkerId(1);
  evolve(state, first, worker);
  evolve(state, first, WorkerConnected{WorkerId(1), Incarnation(1), a_worker().machine()});
  evolve(state, first, PriceBookChanged{a_book(1), "one", 0});
  state.earlier_prices.clear();
  evolve(state, second, PriceBookChanged{a_book(2), "two", 0});
  evolve(state, second, PriceBookChanged{a_book(3), "three", 0});
  ASSERT_EQ(state.earlier_prices.size(), 1U);
  EXPECT_EQ(state.earlier_prices[0].book, a_book(1));
  EXPECT_EQ(prices_at(state, first), a_book(1));
  EXPECT_EQ(prices_at(state, second - Duration(1)), a_book(1));
  EXPECT_EQ(prices_at(state, second), a_book(3));
  EXPECT_EQ(next_price_change(state, first), second);
  EXPECT_FALSE(next_price_change(state, second));
}

TEST(Evolve, AnEarlierBooksOwnDateIsACutToo) {
  ClusterState state;
  ledger::PriceBook dated = a_book(1);
  const Time at = time_from_unix_ms(1'000);
  dated.entries.push_back({at + Duration(10), "cpu", "any", false, Money{2}, {}});
  state.earlier_prices.push_back({dated, at + Duration(50)});
  state.prices = a_book(3);
  EXPECT_EQ(next_price_change(state, at), at + Duration(10));
  EXPECT_EQ(next_cut(state, at), at + Duration(10));
  EXPECT_EQ(next_price_change(state, at + Duration(10)), at + Duration(50));
  EXPECT_FALSE(next_price_change(state, at + Duration(50)));
}

TEST(Evolve, ASeatIsFoundByItsWholeKey) {
  TestCluster cluster;
  cluster.joined(a_worker());
  const JobId id = cluster.submit(a_job().with_units(5));
  const SeatKey key = cluster.seat(id);
  EXPECT_NE(cluster.state().find_seat(key), nullptr);
  EXPECT_EQ(cluster.state().find_seat({id, key.attempt + 1, key.number}), nullptr);
  EXPECT_EQ(cluster.state().find_seat({id, key.attempt, key.number + 1}), nullptr);
  EXPECT_EQ(cluster.state().find_seat({JobId(77), key.attempt, key.number}), nullptr);
  EXPECT_EQ(cluster.job(id).find_seat({JobId(77), key.attempt, key.number}), nullptr);
  EXPECT_EQ(cluster.state().find_worker(WorkerId(77)), nullptr);
}

TEST(Evolve, JobsAreTheSameWhenTheirBytesAreNotWhenTheyAreShared) {
  TestCluster cluster;
  const JobId id = cluster.submit(a_job());
  Job copy = cluster.job(id);
  copy.spec = std::make_shared<const std::string>(*copy.spec);
  EXPECT_TRUE(copy == cluster.job(id));
  copy.spec = std::make_shared<const std::string>("other");
  EXPECT_FALSE(copy == cluster.job(id));
  copy = cluster.job(id);
  copy.plan = nullptr;
  EXPECT_FALSE(copy == cluster.job(id));
  Job planless = copy;
  planless.plan = std::make_shared<const std::string>();
  EXPECT_TRUE(planless == copy);  // none is empty
  planless.failures = 1;
  EXPECT_FALSE(planless == copy);
}

TEST(Evolve, AMachinesOwnPriceIsSharedEvenlyWhereTheBookKnowsNone) {
  TestCluster cluster;
  const WorkerId three = cluster.joined(a_worker()
                                            .with_device(kGiB, 1, "x")
                                            .with_device(kGiB, 1, "y")
                                            .with_device(kGiB, 1, "z")
                                            .with_price(100));
  EXPECT_EQ(cluster.worker(three).device_prices,
            (std::vector<Money>{Money{33}, Money{33}, Money{34}}));
  // Before it has told what it has, it costs its own price.
  const WorkerId silent = cluster.join(a_worker().named("silent").with_price(77));
  EXPECT_EQ(machine_price(cluster.worker(silent)), Money{77});
  const WorkerId plain = cluster.join(a_worker().named("plain"));
  EXPECT_EQ(machine_price(cluster.worker(plain)), Money{0});
}

}  // namespace
}  // namespace overwinter::core::test
