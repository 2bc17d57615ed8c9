// History against sums and lists that are made from the facts themselves.
#include "coordinator/store/history.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/unit/coordinator/store/store_support.h"

namespace overwinter::store {
namespace {

using test::a_life;

class HistoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    turns_ = a_life(20);
    // A project of its own and a job that the core has forgotten.
    const Time last = turns_.back().time;
    core::JobAccepted accepted;
    accepted.job = JobId(500);
    accepted.project = "apollo";
    accepted.name = "old-aaaaa";
    accepted.spec = std::make_shared<const std::string>("the spec");
    accepted.plan = std::make_shared<const std::string>("a plan");
    accepted.actor = 3;
    turns_.push_back({last + Duration(1), {core::ProjectCreated{"apollo", 3}, accepted}});
    turns_.push_back({last + Duration(2),
                      {core::JobDemandChanged{JobId(500), accepted.demand,
                                              std::make_shared<const std::string>("plan two")},
                       core::JobStateChanged{JobId(500), core::JobState::kCancelled,
                                             core::Cause::kCancelled, 0, "not wanted", 3}}});
    turns_.push_back({last + Duration(3), {core::JobForgotten{JobId(500)}}});
    store_ = test::must_open(test::small_config(folder_.path()));
    ASSERT_TRUE(store_->restore());
    for (const test::Turn& turn : turns_) {
      const TurnRef ref = turn.ref();
      ASSERT_TRUE(store_->append_and_commit(std::span(&ref, 1)).ok());
    }
    ASSERT_TRUE(store_->catch_up().ok());
  }
  template <class F>
  [[nodiscard]] std::vector<F> facts() const {
    std::vector<F> out;
    for (const test::Turn& turn : turns_) {
      for (const core::Fact& fact : turn.facts) {
        if (const F* one = std::get_if<F>(&fact)) out.push_back(*one);
      }
    }
    return out;
  }

  test::TemporaryFolder folder_;
  std::vector<test::Turn> turns_;
  std::unique_ptr<Store> store_;
};

TEST_F(HistoryTest, AForgottenJobIsStillThereWithItsBytes) {
  const auto found = store_->history().job("apollo", "old-aaaaa");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_TRUE(*found);
  EXPECT_TRUE((*found)->forgotten);
  EXPECT_EQ((*found)->job.state, core::JobState::kCancelled);
  EXPECT_EQ((*found)->job.reason, "not wanted");
  EXPECT_EQ(*(*found)->job.spec, "the spec");
  EXPECT_EQ(*(*found)->job.plan, "plan two");
  EXPECT_FALSE(*store_->history().job("default", "old-aaaaa"));  // of another project
  const auto steps = store_->history().steps(JobId(500), 10);
  ASSERT_TRUE(steps);
  ASSERT_EQ(steps->size(), 2U);
  EXPECT_EQ((*steps)[1].reason, "not wanted");
}

TEST_F(HistoryTest, PagesOfJobsGiveEachOnceInOrder) {
  const std::size_t accepted = facts<core::JobAccepted>().size();
  const auto place = [](const core::Job& job, JobOrder order) {
    switch (order) {
      case JobOrder::kCreated:
        return JobPosition{unix_ms(job.created_at), {}, job.id};
      case JobOrder::kEnded:
        return JobPosition{job.ended_at ? unix_ms(*job.ended_at) : 0, {}, job.id};
      case JobOrder::kState:
        return JobPosition{static_cast<int>(job.state), {}, job.id};
      case JobOrder::kCost:
        return JobPosition{ledger::rounded(job.charged).micros, {}, job.id};
      case JobOrder::kName:
        return JobPosition{0, job.name, job.id};
    }
    return JobPosition{};
  };
  for (const JobOrder order :
       {JobOrder::kCreated, JobOrder::kEnded, JobOrder::kState, JobOrder::kCost, JobOrder::kName}) {
    for (const bool descending : {true, false}) {
      JobQuery query;
      query.order = order;
      query.descending = descending;
      query.max = 3;
      std::vector<JobPosition> seen;
      for (;;) {
        const auto page = store_->history().jobs(query);
        ASSERT_TRUE(page) << page.error().message;
        for (const PastJob& past : *page) seen.push_back(place(past.job, order));
        if (page->size() < 3) break;
        query.after = seen.back();
      }
      EXPECT_EQ(seen.size(), accepted);
      for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i - 1] < seen[i], !descending);
    }
  }
  JobQuery cancelled;
  cancelled.state = core::JobState::kCancelled;
  cancelled.project = "apollo";
  EXPECT_EQ(store_->history().jobs(cancelled)->size(), 1U);
  cancelled.state = core::JobState::kSucceeded;
  EXPECT_TRUE(store_->history().jobs(cancelled)->empty());
}

TEST_F(HistoryTest, CostsAreTheSumsOfTheSlices) {
  std::map<std::pair<std::string, JobId>, ledger::Charge> monthly;
  std::map<JobId, ledger::Charge> all;
  std::map<JobId, std::size_t> slices;
  for (const auto& usage : facts<core::UsageCharged>()) {
    monthly[{format_time(usage.from).substr(0, 7), usage.seat.job}] += usage.charge;
    all[usage.seat.job] += usage.charge;
    ++slices[usage.seat.job];
  }
  ASSERT_FALSE(all.empty());
  const auto costs = store_->history().job_costs({});
  ASSERT_TRUE(costs) << costs.error().message;
  EXPECT_EQ(costs->size(), facts<core::JobAccepted>().size());
  for (const JobCostRow& row : *costs) EXPECT_EQ(row.charged, all[row.job]);
  std::size_t rows = 0;
  std::set<std::string> months;
  for (const auto& [key, charge] : monthly) months.insert(key.first);
  for (const std::string& month : months) {
    CostQuery query;
    query.month = month;
    const auto part = store_->history().job_costs(query);
    ASSERT_TRUE(part) << part.error().message;
    for (const JobCostRow& row : *part) EXPECT_EQ(row.charged, (monthly[{month, row.job}]));
    rows += part->size();
  }
  EXPECT_EQ(rows, monthly.size());
  for (const auto& [job, count] : slices) {
    EXPECT_EQ(store_->history().usage(job, 1000)->size(), count);
  }
}

TEST_F(HistoryTest, MachineCostsAreTheSumsOfTheirSlices) {
  std::map<std::pair<std::string, WorkerId>, ledger::Charge> monthly;
  std::map<WorkerId, ledger::Charge> all;
  for (const auto& slice : facts<core::MachineCharged>()) {
    monthly[{format_time(slice.from).substr(0, 7), slice.worker}] += slice.total;
    all[slice.worker] += slice.total;
  }
  ASSERT_FALSE(all.empty());
  const auto rows = store_->history().machine_costs("");
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2U);
  for (const MachineCostRow& row : *rows) EXPECT_EQ(row.total, all[row.worker]);
  for (const auto& [key, charge] : monthly) {
    const auto part = store_->history().machine_costs(key.first);
    ASSERT_TRUE(part);
    const auto row = std::find_if(part->begin(), part->end(), [&](const MachineCostRow& one) {
      return one.worker == key.second;
    });
    ASSERT_NE(row, part->end());
    EXPECT_EQ(row->total, charge);
    EXPECT_FALSE(row->name.empty());
  }
}

// The days of a month sum to what its slices cost, wherever they were cut.
TEST_F(HistoryTest, DaysSumToTheSlices) {
  ledger::Charge machines;
  ledger::Charge jobs;
  for (const auto& slice : facts<core::MachineCharged>()) machines += slice.total;
  for (const auto& usage : facts<core::UsageCharged>()) jobs += usage.charge;
  ledger::Charge machine_days;
  ledger::Charge job_days;
  Time day = turns_.front().time - std::chrono::days(1);
  for (; day < turns_.back().time + std::chrono::days(2); day += std::chrono::days(1)) {
    machine_days += store_->history().machines_of_day(day_of(day)).value();
    job_days += store_->history().jobs_of_day(day_of(day), "").value();
  }
  EXPECT_EQ(machine_days, machines);
  EXPECT_EQ(job_days, jobs);
  EXPECT_EQ(store_->history().jobs_of_day(day_of(turns_.back().time), "apollo").value(),
            ledger::Charge{});
}

TEST_F(HistoryTest, ASliceOverMidnightIsSplitByTime) {
  const Time midnight = Time(std::chrono::ceil<std::chrono::days>(
      (turns_.back().time + std::chrono::days(3)).time_since_epoch()));
  const test::Turn turn{
      midnight + Duration(60'000),
      {core::MachineCharged{
          WorkerId(1), midnight - Duration(30'000), midnight + Duration(60'000), {900}, {}, {}}}};
  const TurnRef ref = turn.ref();
  ASSERT_TRUE(store_->append_and_commit(std::span(&ref, 1)).ok());
  ASSERT_TRUE(store_->catch_up().ok());
  EXPECT_EQ(store_->history().machines_of_day(day_of(midnight - Duration(1)))->units, 300);
  EXPECT_EQ(store_->history().machines_of_day(day_of(midnight))->units, 600);
}

TEST_F(HistoryTest, JobsAreCountedAndKnownByTheirNumber) {
  JobQuery all;
  all.max = 2;
  EXPECT_EQ(store_->history().count_jobs(all).value(), facts<core::JobAccepted>().size());
  all.project = "apollo";
  all.forgotten_only = true;
  EXPECT_EQ(store_->history().count_jobs(all).value(), 1U);
  all.project = "default";
  EXPECT_EQ(store_->history().count_jobs(all).value(), facts<core::JobForgotten>().size() - 1);
  EXPECT_EQ(store_->history().state_of(JobId(500)).value(), core::JobState::kCancelled);
  EXPECT_EQ(store_->history().state_of(JobId(501)).value(), std::nullopt);
}

TEST(History, LinesSumToTheirRoundedTotal) {
  std::vector<ledger::Charge> charges(7, ledger::Charge{ledger::kUnitsPerMicro / 3});
  charges.push_back({ledger::kUnitsPerMicro * 5 / 2});
  Money sum;
  ledger::Charge total;
  for (const Money line : rounded_lines(charges)) sum = sum + line;
  for (const auto& charge : charges) total += charge;
  EXPECT_EQ(sum, ledger::rounded(total));
}

}  // namespace
}  // namespace overwinter::store
