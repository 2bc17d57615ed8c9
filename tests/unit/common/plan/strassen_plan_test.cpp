#include "common/plan/strassen_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace overwinter::plan {
namespace {

TEST(StrassenPlan, AProductIsHalvedWhileEachSideIsLargeEnough) {
  const StrassenRule rule{.side = 1000};
  EXPECT_EQ(strassen_levels(999, 5000, 5000, rule), 0U);
  EXPECT_EQ(strassen_levels(5000, 999, 5000, rule), 0U);
  EXPECT_EQ(strassen_levels(1000, 1999, 5000, rule), 1U);
  EXPECT_EQ(strassen_levels(2000, 2000, 3999, rule), 2U);
  EXPECT_EQ(strassen_levels(4000, 4001, 4002, rule), 3U);
  EXPECT_EQ(strassen_levels(1UL << 40U, 1UL << 40U, 1UL << 40U, rule), 3U);
  EXPECT_EQ(strassen_levels(4000, 4000, 4000, {.side = 1000, .levels_max = 1}), 1U);
  EXPECT_EQ(strassen_levels(4000, 4000, 4000, {.side = 0}), 0U);
  EXPECT_EQ(strassen_levels(1, 1, 1, {.side = 1}), 0U);  // there are no halves
  EXPECT_EQ(strassen_levels(7, 7, 7, {.side = 1}), 2U);
}

TEST(StrassenPlan, ASeatHalvesWholeTilesAsOftenAsItsPlanSays) {
  for (std::uint32_t levels = 0; levels <= kStrassenLevelsMax; ++levels) {
    const MatmulGeometry g{.m = 5000,
                           .k = 3001,
                           .n = 7000,
                           .tile_rows = 1037,
                           .tile_columns = 2000,
                           .panel_depth = 1501,
                           .strassen_levels = levels};
    const StrassenRule rule = strassen_rule(g);
    EXPECT_EQ(strassen_levels(1037, 1501, 2000, rule), levels);
    EXPECT_LE(strassen_levels(1037, 1500, 2000, rule), levels);
    EXPECT_EQ(strassen_levels(100, 1501, 2000, rule), 0U);
  }
}

TEST(StrassenPlan, TimeFallsWithTheSideFromTheCrossOverOn) {
  const StrassenRule rule{.side = 1024};
  EXPECT_EQ(strassen_time(4096, 0, rule), 1);
  EXPECT_NEAR(strassen_time(1024, 1, rule), 0.98, 1e-12);
  EXPECT_NEAR(strassen_time(4096, 1, rule), 0.875 + 0.105 / 4, 1e-12);
  EXPECT_NEAR(strassen_time(4096, 2, rule), (0.875 + 0.105 / 4) * (0.875 + 0.105 / 2), 1e-12);
}

TEST(StrassenPlan, TheErrorOfAGeometryIsThatOfItsPanelsAddedUp) {
  MatmulGeometry g{.m = 4096, .k = 4096, .n = 4096, .tile_rows = 2048, .tile_columns = 2048};
  g.panel_depth = 4096;
  EXPECT_DOUBLE_EQ(error_bound(g), 4098 * 0x1p-24);
  g.strassen_levels = 1;
  EXPECT_DOUBLE_EQ(error_bound(g), strassen_bound(4096, 1).product * 0x1p-24 / 4096);
  g.panel_depth = 1024;
  const StrassenBound panel = strassen_bound(1024, 1);
  EXPECT_DOUBLE_EQ(error_bound(g), 4 * (panel.product + panel.before * 4096) * 0x1p-24 / 4096);
  g.precision = Precision::kFp64;
  EXPECT_DOUBLE_EQ(error_bound(g), 4 * (panel.product + panel.before * 4096) * 0x1p-53 / 4096);
  g.k = 0;
  EXPECT_EQ(error_bound(g), 0);
}

TEST(StrassenPlan, RowsOfTemporariesAreAnOddNumberOfLines) {
  EXPECT_EQ(strassen_stride(1, 4), 16U);
  EXPECT_EQ(strassen_stride(16, 4), 16U);
  EXPECT_EQ(strassen_stride(17, 4), 48U);
  EXPECT_EQ(strassen_stride(2048, 4), 2064U);
  EXPECT_EQ(strassen_stride(8, 8), 8U);
}

TEST(StrassenPlan, TheWorkspaceIsASumOfTemporariesOfEachLevel) {
  // One level of 32 x 64 x 96 in fp64: quarters 16 x 32 of A, 32 x 48 of B, 16 x 48 of C, rows of
  // 16 stored as 24, of 32 as 40, of 48 as 56.
  EXPECT_EQ(strassen_workspace_bytes(32, 64, 96, 1, 8, false),
            8U * (3 * 32 * 24 + 3 * 48 * 40 + 48 * 24));
  EXPECT_EQ(strassen_workspace_bytes(32, 64, 96, 1, 8, true),
            8U * (3 * 32 * 24 + 3 * 48 * 40 + 2 * 48 * 24));
  EXPECT_EQ(strassen_workspace_bytes(64, 128, 192, 2, 8, false),
            strassen_workspace_bytes(64, 128, 192, 1, 8, false) +
                strassen_workspace_bytes(32, 64, 96, 1, 8, true));
  EXPECT_EQ(strassen_workspace_bytes(33, 65, 97, 1, 8, false),
            strassen_workspace_bytes(32, 64, 96, 1, 8, false));
  EXPECT_EQ(strassen_workspace_bytes(4096, 4096, 4096, 0, 4, true), 0U);
  const std::uint64_t huge = 1ULL << 62U;
  EXPECT_EQ(strassen_workspace_bytes(huge, huge, huge, 1, 8, false),
            std::numeric_limits<std::uint64_t>::max());
}

TEST(StrassenPlan, TheBoundIsAboveHighamsAndNotThreeTimesIt) {
  EXPECT_EQ(strassen_bound(100, 0).product, 100.0 * 102);
  EXPECT_EQ(strassen_bound(100, 0).before, 102.0);
  for (const std::uint64_t k : {1024ULL, 4096ULL, 8192ULL}) {
    for (std::uint32_t levels = 1; levels <= 3; ++levels) {
      const double k0 = static_cast<double>(k >> levels);
      const double higham = std::pow(18, levels) * (k0 * k0 + 6 * k0) - 6 * static_cast<double>(k);
      const StrassenBound bound = strassen_bound(k, levels);
      EXPECT_GT(bound.product, higham);
      EXPECT_LT(bound.product, 3 * higham);
      EXPECT_GT(strassen_bound(k + 1, levels).product, bound.product);
      EXPECT_GT(strassen_bound(k, levels).product, strassen_bound(k, levels - 1).product);
    }
  }
}

}  // namespace
}  // namespace overwinter::plan
