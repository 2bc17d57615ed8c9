#include "common/plan/job_planner.h"

#include <gtest/gtest.h>

#include "common/base/bytes.h"
#include "common/plan/memory_estimate.h"
#include "common/plan/tile_choice.h"

namespace overwinter::plan {
namespace {

constexpr double kGflops = 90;

WorkerOffer a_worker(const std::string& name, std::uint64_t memory, std::uint32_t threads = 1) {
  WorkerOffer worker;
  worker.name = name;
  worker.same_host_as_coordinator = true;
  worker.devices.push_back({.device = {.kind = "cpu",
                                       .model = "a processor",
                                       .memory_bytes = memory,
                                       .threads = threads,
                                       .gflops_fp32 = kGflops,
                                       .gflops_fp64 = kGflops / 2},
                            .price_per_hour = Money{360'000}});
  return worker;
}

ClusterOffer a_cluster(int workers, std::uint64_t memory) {
  ClusterOffer offer;
  offer.currency_code = "USD";
  for (int i = 1; i <= workers; ++i)
    offer.workers.push_back(a_worker("worker-" + std::to_string(i), memory));
  return offer;
}

MatmulProblem a_problem(std::uint64_t m, std::uint64_t k, std::uint64_t n,
                        Precision precision = Precision::kFp32) {
  return {.m = m, .k = k, .n = n, .precision = precision, .a_digest = "aa", .b_digest = "bb"};
}

v1::JobSpec a_spec() {
  v1::JobSpec spec;
  spec.mutable_matmul()->set_a("A.npy");
  spec.mutable_matmul()->set_b("B.npy");
  return spec;
}

PlanOutcome plan_of(const v1::JobSpec& spec, const MatmulProblem& problem,
                    const ClusterOffer& offer) {
  auto outcome = plan_job(spec, {.matmul = &problem}, offer);
  EXPECT_TRUE(outcome.has_value()) << (outcome ? "" : outcome.error().message);
  return outcome ? *outcome : PlanOutcome{};
}

TEST(JobPlanner, SixtyFourMiBDevicesMultiplyTheQuickStart) {
  const auto outcome = plan_of(a_spec(), a_problem(3000, 2000, 2500), a_cluster(2, 64 * kMiB));
  ASSERT_FALSE(outcome.alternatives.empty());
  const Alternative& best = outcome.alternatives.front();
  EXPECT_LE(best.demand.memory_bytes, 64 * kMiB);
  EXPECT_LE(best.plan.memory_bytes(), best.demand.memory_bytes);
  EXPECT_GE(best.demand.units, 8u) << "at least four units a seat";
  EXPECT_EQ(best.demand.threads, 0u);
  EXPECT_EQ(best.demand.landing, Landing::kArtifact);
  EXPECT_EQ(best.plan.matmul().a_digest(), "aa");
  EXPECT_EQ(best.plan.cost().currency_code(), "USD");
  EXPECT_FALSE(best.plan.why().empty());
}

// Every plan's geometry is one that a worker accepts, covers C, and fits the seat by the shared
// formula.
TEST(JobPlanner, AnyShapeOnAnyBudgetFitsOrSaysWhy) {
  for (std::uint64_t m : {0, 1, 7, 64, 1000, 70000})
    for (std::uint64_t k : {0, 1, 100, 5000, 300000})
      for (std::uint64_t n : {0, 1, 33, 4096})
        for (auto precision : {Precision::kFp32, Precision::kFp64})
          for (std::uint64_t memory : {16 * kMiB, 64 * kMiB, 4 * kGiB}) {
            const auto outcome =
                plan_of(a_spec(), a_problem(m, k, n, precision), a_cluster(3, memory));
            ASSERT_FALSE(outcome.alternatives.empty()) << m << " " << k << " " << n;
            for (const Alternative& a : outcome.alternatives) {
              const auto g = geometry_of(a.plan.matmul());
              ASSERT_TRUE(g.has_value()) << g.error().message;
              ASSERT_EQ(g->m, m);
              ASSERT_EQ(g->k, k);
              ASSERT_EQ(g->n, n);
              ASSERT_EQ(a.demand.units, g->grid().units());
              ASSERT_EQ(a.demand.units == 0, m == 0 || n == 0);
              ASSERT_LE(matmul_memory(*g, 1).total_bytes(), memory);
              ASSERT_LE(a.demand.memory_bytes, memory);
              ASSERT_GE(a.demand.memory_bytes, matmul_memory(*g, 1).total_bytes());
              ASSERT_GE(a.demand.units_per_range_max, 1u);
              ASSERT_GE(a.demand.seats_max, a.demand.seats_min);
            }
          }
}

// A cluster whose devices have measured from which side on halving pays.
ClusterOffer a_halving_cluster(int workers, std::uint64_t side) {
  ClusterOffer offer = a_cluster(workers, 4 * kGiB);
  for (WorkerOffer& worker : offer.workers) {
    worker.devices.front().device.strassen_fp32_side = side;
    worker.devices.front().device.strassen_fp64_side = side;
  }
  return offer;
}

v1::Plan plan_with(const std::string& algorithm, double tolerance, const ClusterOffer& offer,
                   std::uint64_t side = 8192, Precision precision = Precision::kFp32) {
  v1::JobSpec spec = a_spec();
  spec.mutable_matmul()->set_algorithm(algorithm);
  spec.mutable_matmul()->set_tolerance(tolerance);
  const auto outcome = plan_of(spec, a_problem(side, side, side, precision), offer);
  EXPECT_FALSE(outcome.alternatives.empty());
  return outcome.alternatives.empty() ? v1::Plan() : outcome.alternatives.front().plan;
}

TEST(JobPlanner, AutoHalvesWhereItIsFasterAndWithinTheTolerance) {
  const v1::Plan halved = plan_with("auto", 0.05, a_halving_cluster(1, 1024));
  EXPECT_EQ(halved.matmul().algorithm(), "strassen");
  EXPECT_GE(halved.matmul().strassen_levels(), 1U);
  EXPECT_LE(halved.matmul().error_bound(), 0.05);
  EXPECT_NE(halved.why().find("Strassen"), std::string::npos) << halved.why();
  const auto geometry = geometry_of(halved.matmul());
  ASSERT_TRUE(geometry.has_value());
  EXPECT_GT(matmul_memory(*geometry, 1).strassen_bytes, 0U);
  EXPECT_EQ(halved.memory_bytes(), matmul_memory(*geometry, 1).total_bytes());
  const v1::Plan plain = plan_with("classical", 0.05, a_halving_cluster(1, 1024));
  EXPECT_EQ(plain.matmul().algorithm(), "classical");
  EXPECT_EQ(plain.matmul().strassen_levels(), 0U);
  EXPECT_LT(halved.duration().seconds(), plain.duration().seconds());
}

TEST(JobPlanner, AutoIsPlainWithoutATolerance) {
  const v1::Plan plan = plan_with("auto", 0, a_halving_cluster(2, 1024));
  EXPECT_EQ(plan.matmul().algorithm(), "classical");
  EXPECT_NEAR(plan.matmul().error_bound(), 8194 * 0x1p-24, 1e-4);
  EXPECT_EQ(plan.why().find("Strassen"), std::string::npos);
}

TEST(JobPlanner, AutoIsPlainWhereADeviceHasNotFoundItFasterAndSaysSo) {
  ClusterOffer offer = a_halving_cluster(2, 1024);
  offer.workers.back().devices.front().device.strassen_fp32_side = 0;
  const v1::Plan plan = plan_with("auto", 0.05, offer);
  EXPECT_EQ(plan.matmul().algorithm(), "classical");
  EXPECT_NE(plan.why().find("not every device"), std::string::npos) << plan.why();
}

TEST(JobPlanner, ABoundAboveTheToleranceIsNotHalved) {
  const v1::Plan plan = plan_with("auto", 1e-5, a_halving_cluster(1, 1024));
  EXPECT_EQ(plan.matmul().algorithm(), "classical");
  EXPECT_NE(plan.why().find("above the tolerance, 1.0e-05"), std::string::npos) << plan.why();
  // fp64 has digits to spare.
  const v1::Plan twice =
      plan_with("auto", 1e-5, a_halving_cluster(1, 1024), 8192, Precision::kFp64);
  EXPECT_EQ(twice.matmul().algorithm(), "strassen");
  const v1::Plan wanted = plan_with("strassen", 1e-5, a_halving_cluster(1, 1024));
  EXPECT_EQ(wanted.matmul().algorithm(), "classical");
  ASSERT_EQ(wanted.warnings_size(), 1);
  EXPECT_NE(wanted.warnings(0).find("above the tolerance"), std::string::npos);
}

TEST(JobPlanner, StrassenIsUsedWhereItIsAskedForAndSaidWhereItCannotBe) {
  const v1::Plan unmeasured = plan_with("strassen", 0, a_cluster(2, 4 * kGiB));
  EXPECT_EQ(unmeasured.matmul().algorithm(), "strassen");
  EXPECT_EQ(unmeasured.warnings_size(), 0);
  const v1::Plan small = plan_with("strassen", 0, a_cluster(1, 4 * kGiB), 500);
  EXPECT_EQ(small.matmul().algorithm(), "classical");
  ASSERT_EQ(small.warnings_size(), 1);
  EXPECT_NE(small.warnings(0).find("from 1024 on"), std::string::npos) << small.warnings(0);
  // No device is known at all.
  EXPECT_EQ(plan_with("strassen", 0, {}).matmul().algorithm(), "strassen");
  EXPECT_EQ(plan_with("auto", 0.05, {}).matmul().algorithm(), "classical");
}

TEST(JobPlanner, APlanThatIsHalvedTooOftenIsRefused) {
  v1::MatmulPlan plan = plan_with("strassen", 0, a_halving_cluster(1, 1024)).matmul();
  EXPECT_TRUE(geometry_of(plan).has_value());
  plan.set_strassen_levels(4);
  EXPECT_EQ(geometry_of(plan).error().code, Code::kInvalidArgument);
}

TEST(JobPlanner, InputsLargerThanAllWorkersTogetherArePlanned) {
  const auto outcome =
      plan_of(a_spec(), a_problem(200'000, 200'000, 200'000), a_cluster(2, 64 * kMiB));
  ASSERT_FALSE(outcome.alternatives.empty());
  EXPECT_LE(outcome.alternatives.front().plan.memory_bytes(), 64 * kMiB);
  EXPECT_GT(outcome.alternatives.front().plan.bytes_to_workers(), 2 * 160'000'000'000ULL);
}

TEST(JobPlanner, TooSmallDevicesAreRefusedWithTheNumbers) {
  const auto outcome = plan_of(a_spec(), a_problem(3000, 2000, 2500), a_cluster(2, kMiB));
  EXPECT_TRUE(outcome.alternatives.empty());
  EXPECT_NE(outcome.reason.find("1.0 MiB"), std::string::npos) << outcome.reason;
  EXPECT_NE(outcome.reason.find("would fit"), std::string::npos) << outcome.reason;
  ASSERT_EQ(outcome.ruled_out.size(), 2u);
  EXPECT_NE(outcome.ruled_out[0].why().find("1.0 MiB"), std::string::npos);
}

// What the refusal says would fit does fit.
TEST(JobPlanner, WhatWouldFitFits) {
  const std::uint64_t least = least_memory_bytes(3000, 2000, 2500, Precision::kFp32, 1);
  EXPECT_FALSE(
      plan_of(a_spec(), a_problem(3000, 2000, 2500), a_cluster(1, least)).alternatives.empty());
  EXPECT_TRUE(
      plan_of(a_spec(), a_problem(3000, 2000, 2500), a_cluster(1, least - 1)).alternatives.empty());
}

TEST(JobPlanner, AMemoryThatIsAskedForIsReservedAndKept) {
  v1::JobSpec spec = a_spec();
  spec.set_memory_per_device_bytes(48 * kMiB);
  const auto outcome = plan_of(spec, a_problem(3000, 2000, 2500), a_cluster(2, kGiB));
  ASSERT_FALSE(outcome.alternatives.empty());
  EXPECT_EQ(outcome.alternatives.front().demand.memory_bytes, 48 * kMiB);
  EXPECT_LE(outcome.alternatives.front().plan.memory_bytes(), 48 * kMiB);
  spec.set_memory_per_device_bytes(2 * kGiB);
  const auto refused = plan_of(spec, a_problem(3000, 2000, 2500), a_cluster(2, kGiB));
  EXPECT_TRUE(refused.alternatives.empty());
  EXPECT_NE(refused.reason.find("2.0 GiB"), std::string::npos) << refused.reason;
  EXPECT_NE(refused.reason.find("1.0 GiB"), std::string::npos) << refused.reason;
}

TEST(JobPlanner, WithoutAWorkerTheJobWaitsAndSaysSo) {
  const auto outcome = plan_of(a_spec(), a_problem(3000, 2000, 2500), ClusterOffer{});
  ASSERT_EQ(outcome.alternatives.size(), 1u);
  EXPECT_FALSE(outcome.alternatives[0].plan.warnings().empty());
}

TEST(JobPlanner, WorkersAreRuledOutByTheirReason) {
  ClusterOffer offer = a_cluster(3, kGiB);
  offer.workers[0].unavailable = "drains";
  offer.workers[1].spot = true;
  v1::JobSpec spec = a_spec();
  spec.set_spot("never");
  const auto outcome = plan_of(spec, a_problem(100, 100, 100), offer);
  ASSERT_EQ(outcome.ruled_out.size(), 2u);
  EXPECT_EQ(outcome.ruled_out[0].why(), "drains");
  EXPECT_NE(outcome.ruled_out[1].why().find("spot"), std::string::npos);
}

// Planned for a guessed device, it could never start on the workers that are known.
TEST(JobPlanner, WithEveryWorkerAwayItIsPlannedForThoseThatMayReturn) {
  ClusterOffer offer = a_cluster(2, 64 * kMiB);
  for (WorkerOffer& worker : offer.workers) {
    worker.unavailable = "drains";
    worker.may_return = true;
  }
  const auto outcome = plan_of(a_spec(), a_problem(3000, 2000, 2500), offer);
  ASSERT_FALSE(outcome.alternatives.empty());
  EXPECT_LE(outcome.alternatives.front().demand.memory_bytes, 64 * kMiB);
  EXPECT_EQ(outcome.alternatives.front().plan.warnings_size(), 1);
  ASSERT_EQ(outcome.ruled_out.size(), 2u);
  EXPECT_EQ(outcome.ruled_out[0].why(), "drains");
}

TEST(JobPlanner, AWorkerThatServesOthersIsNotPlannedFor) {
  ClusterOffer offer = a_cluster(1, 64 * kMiB);
  offer.workers[0].unavailable = "serves other projects";
  const auto outcome = plan_of(a_spec(), a_problem(3000, 2000, 2500), offer);
  ASSERT_FALSE(outcome.alternatives.empty());
  EXPECT_GT(outcome.alternatives.front().demand.memory_bytes, 64 * kMiB) << "a guess";
}

TEST(JobPlanner, ACapBelowThePredictionWarnsAndADeadlineRanks) {
  v1::JobSpec spec = a_spec();
  spec.mutable_budget()->mutable_cap()->set_amount_micros(1);
  const MatmulProblem problem = a_problem(8192, 8192, 8192);
  auto outcome = plan_of(spec, problem, a_cluster(4, kGiB));
  ASSERT_FALSE(outcome.alternatives.empty());
  ASSERT_EQ(outcome.alternatives.front().plan.warnings_size(), 1);
  EXPECT_NE(outcome.alternatives.front().plan.warnings(0).find("cap"), std::string::npos);
  for (std::size_t i = 1; i < outcome.alternatives.size(); ++i)
    EXPECT_LE(outcome.alternatives[i - 1].demand.predicted_duration,
              outcome.alternatives[i].demand.predicted_duration);

  spec.mutable_budget()->clear_cap();
  spec.mutable_budget()->mutable_deadline()->set_seconds(3600);
  outcome = plan_of(spec, problem, a_cluster(4, kGiB));
  for (std::size_t i = 1; i < outcome.alternatives.size(); ++i)
    EXPECT_LE(outcome.alternatives[i - 1].demand.predicted_cost,
              outcome.alternatives[i].demand.predicted_cost);
}

// Two devices at 90 GFLOP/s each at 0.36 an hour: the arithmetic of time and cost, from the
// outside.
TEST(JobPlanner, TimeAndCostAreOfTheRightSize) {
  const auto outcome = plan_of(a_spec(), a_problem(8192, 8192, 8192), a_cluster(2, 4 * kGiB));
  const Demand& demand = outcome.alternatives.front().demand;
  const double ideal = 2.0 * 8192 * 8192 * 8192 / (2 * kGflops * 1e9);
  const auto seconds = static_cast<double>(demand.predicted_duration.count()) / 1000;
  EXPECT_GT(seconds, ideal);
  EXPECT_LT(seconds, 1.5 * ideal);
  const double cost = static_cast<double>(demand.predicted_cost.micros);
  EXPECT_NEAR(cost, 2 * 360'000.0 * seconds / 3600, 1 + cost / 1000);
  EXPECT_EQ(outcome.alternatives.front().plan.cost().amount_micros(), demand.predicted_cost.micros);
}

TEST(JobPlanner, WorkersBoundSeats) {
  v1::JobSpec spec = a_spec();
  spec.mutable_workers()->set_min(2);
  spec.mutable_workers()->set_max(3);
  const auto outcome = plan_of(spec, a_problem(4096, 4096, 4096), a_cluster(8, kGiB));
  for (const Alternative& a : outcome.alternatives) {
    EXPECT_EQ(a.demand.seats_min, 2u);
    EXPECT_GE(a.demand.seats_max, 2u);
    EXPECT_LE(a.demand.seats_max, 3u);
  }
  spec.mutable_workers()->set_min(9);
  spec.mutable_workers()->set_max(0);
  const auto waits = plan_of(spec, a_problem(4096, 4096, 4096), a_cluster(8, kGiB));
  ASSERT_FALSE(waits.alternatives.front().plan.warnings().empty());
  EXPECT_NE(waits.alternatives.front().plan.warnings(0).find("9"), std::string::npos);
}

TEST(JobPlanner, ASeatFitsTheDeviceWithTheMostThreads) {
  ClusterOffer offer = a_cluster(2, 256 * kMiB);
  offer.workers.push_back(a_worker("wide", 256 * kMiB, 8));
  v1::JobSpec spec = a_spec();
  spec.mutable_workers()->set_max(1);
  for (const Alternative& a : plan_of(spec, a_problem(3000, 2000, 2500), offer).alternatives)
    EXPECT_GE(a.demand.memory_bytes, matmul_memory(*geometry_of(a.plan.matmul()), 8).total_bytes());
}

TEST(JobPlanner, NoopUnitsAreDoneByReport) {
  v1::JobSpec spec;
  spec.mutable_noop()->set_units(1000);
  spec.mutable_noop()->set_units_per_range_max(64);
  const auto outcome = plan_job(spec, {}, a_cluster(2, kGiB));
  ASSERT_TRUE(outcome.has_value());
  ASSERT_EQ(outcome->alternatives.size(), 1u);
  EXPECT_EQ(outcome->alternatives[0].demand.units, 1000u);
  EXPECT_EQ(outcome->alternatives[0].demand.units_per_range_max, 64u);
  EXPECT_EQ(outcome->alternatives[0].demand.landing, Landing::kReport);
}

TEST(JobPlanner, GangsAndJobsWithoutAWorkloadAreRefused) {
  v1::JobSpec spec = a_spec();
  spec.set_transport("gang");
  const MatmulProblem problem = a_problem(1, 1, 1);
  EXPECT_EQ(plan_job(spec, {.matmul = &problem}, {}).error().field, "transport");
  EXPECT_EQ(plan_job(v1::JobSpec{}, {}, {}).error().field, "workload");
}

TEST(JobPlanner, IsDeterministic) {
  const auto one = plan_of(a_spec(), a_problem(5000, 777, 3001), a_cluster(5, 100 * kMiB));
  const auto two = plan_of(a_spec(), a_problem(5000, 777, 3001), a_cluster(5, 100 * kMiB));
  ASSERT_EQ(one.alternatives.size(), two.alternatives.size());
  for (std::size_t i = 0; i < one.alternatives.size(); ++i)
    EXPECT_EQ(one.alternatives[i].plan.SerializeAsString(),
              two.alternatives[i].plan.SerializeAsString());
}

TEST(MatmulProblem, RefusesWhatDoesNotMultiply) {
  const Factor a{.rows = 3, .columns = 4, .dtype = "<f4"};
  EXPECT_EQ(matmul_problem(a, {.rows = 5, .columns = 6, .dtype = "<f4"}, "").error().field,
            "workload.matmul.b");
  EXPECT_FALSE(matmul_problem(a, {.rows = 4, .columns = 6, .dtype = "<f8"}, ""));
  EXPECT_FALSE(matmul_problem(a, {.rows = 4, .columns = 6, .dtype = "<i4"}, ""));
  EXPECT_EQ(matmul_problem(a, {.rows = 4, .columns = 6, .dtype = "f4"}, "fp64").error().field,
            "workload.matmul.precision");
  EXPECT_FALSE(matmul_problem({.rows = 1ULL << 40, .columns = 1, .dtype = "f8"},
                              {.rows = 1, .columns = 1ULL << 40, .dtype = "f8"}, ""));
  const auto good = matmul_problem(a, {.rows = 4, .columns = 6, .dtype = "f4"}, "fp32");
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->m, 3u);
  EXPECT_EQ(good->k, 4u);
  EXPECT_EQ(good->n, 6u);
}

}  // namespace
}  // namespace overwinter::plan
