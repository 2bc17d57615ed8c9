// The least that a machine is charged for (`minimum` of a price entry).
#include <gtest/gtest.h>

#include "tests/support/core_builders.h"

namespace overwinter::core {
namespace {

using namespace test;

constexpr std::int64_t kPrice = 3'600'000;  // micro-units an hour: one a millisecond

ledger::PriceBook book_with(Duration cpu_minimum, Duration gpu_minimum = Duration(0)) {
  ledger::PriceBook book;
  book.entries.push_back({Time{}, "cpu", "any", false, Money{kPrice}, cpu_minimum});
  book.entries.push_back({Time{}, "gpu", "any", false, Money{2 * kPrice}, gpu_minimum});
  return book;
}

// Time goes on, and the workers show life.
void live(TestCluster& cluster, const std::vector<WorkerId>& workers, int seconds) {
  for (int i = 0; i < seconds; i += 5) {
    cluster.run_for(Duration(5'000));
    for (const WorkerId worker : workers) cluster.beat(worker);
  }
}

Money cost_of(const Worker& worker) {
  EXPECT_EQ(worker.lost, ledger::Charge{});
  return rounded(worker.total);
}

TEST(Minimum, AMachineThatGoesEarlyIsChargedToItsMinimum) {
  TestCluster cluster;
  cluster.set_prices(book_with(Duration(60'000)));
  const WorkerId early = cluster.joined(a_worker().named("early"));
  const WorkerId late = cluster.joined(a_worker().named("late"));
  live(cluster, {early, late}, 20);
  cluster.act(early, WorkerAction::kRemove);
  live(cluster, {late}, 50);
  cluster.act(late, WorkerAction::kRemove);
  EXPECT_EQ(cost_of(cluster.worker(early)).micros, 60'000);
  EXPECT_EQ(cost_of(cluster.worker(late)).micros, 70'000);
}

TEST(Minimum, TheLongestOfItsDevicesCounts) {
  TestCluster cluster;
  cluster.set_prices(book_with(Duration(60'000), Duration(600'000)));
  const WorkerId both = cluster.joined(a_worker().with_device(kGiB, 1).with_device(kGiB, 1, "gpu"));
  cluster.act(both, WorkerAction::kRemove);
  EXPECT_EQ(cost_of(cluster.worker(both)).micros, 3 * 600'000);
}

TEST(Minimum, JobsPayWhatTheyUsedAndTheRestIsIdle) {
  TestCluster cluster;
  cluster.set_prices(book_with(Duration(60'000)));
  const WorkerId worker = cluster.joined(a_worker().with_device(4 * kGiB, 4));
  const JobId job = cluster.submit(a_job().with_threads(4));
  const SeatKey seat = cluster.seat(job);
  cluster.began(seat);
  cluster.run_for(Duration(5'000));
  cluster.act(worker, WorkerAction::kRemove);
  cluster.end(seat, Duration(5'000));
  EXPECT_EQ(cluster.worker(worker).state, WorkerState::kRemoved);
  EXPECT_EQ(rounded(cluster.worker(worker).jobs).micros, 5'000);
  EXPECT_EQ(cost_of(cluster.worker(worker)).micros, 60'000);
}

TEST(Minimum, OneThatReachesIntoTheNextMonthIsCutThere) {
  TestCluster cluster;
  cluster.set_prices(book_with(Duration(60'000)));
  cluster.now = time_from_unix_ms(1'796'083'200'000 - 10'000);  // ten seconds before December
  const WorkerId worker = cluster.joined(a_worker());
  cluster.act(worker, WorkerAction::kRemove);
  const auto slices = cluster.facts<MachineCharged>();
  ASSERT_GE(slices.size(), 2U);
  ledger::Charge november;
  ledger::Charge december;
  for (const auto& slice : slices) {
    (slice.from < time_from_unix_ms(1'796'083'200'000) ? november : december) += slice.total;
  }
  EXPECT_EQ(rounded(november).micros, 10'000);
  EXPECT_EQ(rounded(december).micros, 50'000);
}

}  // namespace
}  // namespace overwinter::core
