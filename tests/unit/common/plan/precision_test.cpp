// What each precision stores, demands and allows.
#include <gtest/gtest.h>

#include <tuple>

#include "common/plan/candidates.h"
#include "common/plan/comm_volume.h"
#include "common/plan/job_planner.h"
#include "common/plan/matmul_problem.h"
#include "common/plan/memory_estimate.h"
#include "common/plan/tile_choice.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::plan {
namespace {

constexpr Precision kAll[] = {Precision::kFp32, Precision::kFp64, Precision::kBf16,
                              Precision::kFp16, Precision::kInt8};

Result<MatmulProblem> problem_of(std::string dtype, std::string_view precision,
                                 std::uint64_t k = 4) {
  return matmul_problem({.rows = 3, .columns = k, .dtype = dtype},
                        {.rows = k, .columns = 5, .dtype = dtype}, precision);
}

TEST(Precision, NamesComeBack) {
  for (const Precision p : kAll) EXPECT_EQ(*parse_precision(precision_name(p)), p);
  EXPECT_FALSE(parse_precision(""));
  EXPECT_FALSE(parse_precision("int4"));
}

TEST(Precision, FollowsFromWhatIsStoredAndAsked) {
  EXPECT_EQ(problem_of("<f4", "")->precision, Precision::kFp32);
  EXPECT_EQ(problem_of("<f4", "bf16")->precision, Precision::kBf16);
  EXPECT_EQ(problem_of("<f4", "fp16")->precision, Precision::kFp16);
  EXPECT_EQ(problem_of("<f8", "fp64")->precision, Precision::kFp64);
  EXPECT_EQ(problem_of("|i1", "")->precision, Precision::kInt8);
  EXPECT_EQ(problem_of("i1", "int8")->precision, Precision::kInt8);
  for (const auto& [dtype, precision] :
       {std::pair("<f8", "bf16"), std::pair("<f4", "int8"), std::pair("|i1", "fp32"),
        std::pair("|i1", "bf16"), std::pair("<f4", "fp64"), std::pair("<f4", "int4")}) {
    const auto refused = problem_of(dtype, precision);
    ASSERT_FALSE(refused.has_value()) << dtype << " " << precision;
    EXPECT_EQ(refused.error().field, "workload.matmul.precision");
  }
}

TEST(Precision, SumsOfInt8StayWithinInt32) {
  EXPECT_TRUE(problem_of("|i1", "", kInt8DepthMax).has_value());
  EXPECT_EQ(problem_of("|i1", "", kInt8DepthMax + 1).error().field, "workload.matmul.a");
  EXPECT_LT(kInt8DepthMax << 14U, std::uint64_t{1} << 31U);
  v1::MatmulPlan plan;
  set_geometry(
      {.m = 1, .k = kInt8DepthMax + 1, .n = 1, .precision = Precision::kInt8, .panel_depth = 10},
      plan);
  EXPECT_FALSE(geometry_of(plan).has_value());
}

TEST(Precision, MemoryHoldsWhatIsStoredRoundedAndSummed) {
  for (const Precision p : kAll) {
    MatmulGeometry g{.m = 300,
                     .k = 5000,
                     .n = 200,
                     .precision = p,
                     .tile_rows = 100,
                     .tile_columns = 50,
                     .panel_depth = 5000,
                     .group_rows = 3};
    const MatmulMemory memory = matmul_memory(g, 2);
    EXPECT_EQ(memory.a_block_bytes, 100 * 5000 * factor_bytes(p));
    EXPECT_EQ(memory.b_block_bytes, 5000 * 50 * factor_bytes(p));
    EXPECT_EQ(memory.c_tile_bytes, 100 * 50 * result_bytes(p));
    EXPECT_EQ(memory.rounded_bytes, rounds_factors(p) ? 150 * kRoundedDepth * 2 : 0);
    EXPECT_EQ(memory.total_bytes(),
              memory.panels_bytes() + memory.rounded_bytes + memory.workspace_bytes);
    g.precision = p == Precision::kFp64 ? Precision::kFp64 : Precision::kFp32;
    const bool narrow = p != Precision::kFp32 && p != Precision::kFp64;
    EXPECT_EQ(memory.workspace_bytes,
              matmul_memory(g, 2).workspace_bytes + (narrow ? kWideningBytes : 0));
    g.precision = p;
    const CommVolume volume = matmul_comm_volume(g, 1);
    EXPECT_EQ(volume.bytes_from_workers, 300.0 * 200.0 * static_cast<double>(result_bytes(p)));
  }
}

TEST(Precision, ATileOfInt8FitsWhoChecksIt) {
  SeatModel seats;
  seats.flops_per_second = 1e15;
  const auto g = choose_tiles(100'000, 100, 100'000, Precision::kInt8, 8ULL << 30U, seats);
  ASSERT_TRUE(g.has_value());
  EXPECT_LE(g->rows() * g->columns() * sizeof(double), kTileBytesMax);
  v1::MatmulPlan plan;
  set_geometry(*g, plan);
  EXPECT_EQ(*geometry_of(plan), *g);
}

// Two devices: one that told its speed of bf16, one that has no instructions for it.
ClusterOffer unequal_cluster() {
  ClusterOffer offer;
  for (const double gflops_bf16 : {400.0, 0.0}) {
    WorkerOffer& worker = offer.workers.emplace_back();
    worker.name = gflops_bf16 > 0 ? "narrow" : "wide";
    worker.same_host_as_coordinator = true;
    worker.devices.push_back({.device = {.kind = "cpu",
                                         .memory_bytes = 8ULL << 30U,
                                         .threads = 1,
                                         .gflops_fp32 = 100,
                                         .gflops_fp64 = 50,
                                         .gflops_bf16 = gflops_bf16},
                              .price_per_hour = Money{360'000}});
  }
  return offer;
}

TEST(Precision, ADeviceHasTheSpeedItToldOrThatOfFp32) {
  const ClusterOffer offer = unequal_cluster();
  for (const auto& [precision, speed, wide_speed] :
       {std::tuple(Precision::kBf16, 4e11, 1e11), std::tuple(Precision::kFp32, 1e11, 1e11),
        std::tuple(Precision::kInt8, 1e11, 1e11), std::tuple(Precision::kFp64, 5e10, 5e10)}) {
    const Candidates found = find_candidates(offer, {.precision = precision});
    ASSERT_EQ(found.devices.size(), 2U);
    EXPECT_EQ(found.devices[0].name, "narrow");
    EXPECT_EQ(found.devices[0].flops_per_second, speed);
    EXPECT_EQ(found.devices[1].flops_per_second, wide_speed);
    EXPECT_EQ(found.devices[0].widens, precision == Precision::kInt8);
    EXPECT_EQ(found.devices[1].widens, is_narrow(precision));
  }
}

TEST(Precision, ThePlanNamesItAndWarnsWhereItIsWidened) {
  v1::JobSpec spec;
  spec.mutable_matmul()->set_a("A.npy");
  spec.mutable_matmul()->set_b("B.npy");
  for (const auto& [precision, widening] :
       {std::pair(Precision::kBf16, "1 of 2"), std::pair(Precision::kInt8, "2 of 2"),
        std::pair(Precision::kFp64, "")}) {
    const MatmulProblem problem{.m = 3000,
                                .k = 2000,
                                .n = 2500,
                                .precision = precision,
                                .a_digest = "aa",
                                .b_digest = "bb"};
    const auto outcome = plan_job(spec, {.matmul = &problem}, unequal_cluster());
    ASSERT_TRUE(outcome.has_value());
    const v1::Plan& plan = outcome->alternatives.front().plan;
    EXPECT_EQ(plan.matmul().precision(), precision_name(precision));
    EXPECT_NE(plan.why().find(" in " + std::string(precision_name(precision))), std::string::npos);
    ASSERT_EQ(plan.warnings_size(), *widening == '\0' ? 0 : 1);
    if (*widening != '\0') {
      EXPECT_EQ(plan.warnings(0).find(widening), 0U) << plan.warnings(0);
    }
  }
}

}  // namespace
}  // namespace overwinter::plan
