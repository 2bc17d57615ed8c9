#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "common/plan/comm_volume.h"
#include "common/plan/memory_estimate.h"
#include "common/plan/tile_choice.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::plan {
namespace {

// The twin of matmul_comm_volume: hands ranges of group_rows units to seats in turn and counts
// panels that a seat does not hold. A seat holds the panels of A of its group and the last panel of
// B.
double counted_bytes_to_workers(const MatmulGeometry& g, std::uint32_t seats) {
  const TileGrid grid = g.grid();
  double elements = 0;
  std::set<std::pair<std::uint32_t, std::uint64_t>> a_read;  // seat, first row
  UnitNumber unit = 0;
  for (std::uint32_t range = 0; unit < grid.units(); ++range) {
    const std::uint32_t seat = range % seats;
    const std::uint64_t column = grid.tile(unit).column_begin;
    elements += static_cast<double>(g.k * grid.tile(unit).columns());
    for (; unit < grid.units() && grid.tile(unit).column_begin == column; ++unit) {
      const Tile tile = grid.tile(unit);
      if (a_read.insert({seat, tile.row_begin}).second)
        elements += static_cast<double>(g.k * tile.rows());
      if (unit + 1 < grid.units() && grid.tile(unit + 1).row_begin < tile.row_begin) {
        ++unit;
        break;
      }
    }
  }
  return elements * static_cast<double>(factor_bytes(g.precision));
}

TEST(CommVolume, AgreesWithCountingPanels) {
  for (std::uint64_t group : {1, 2, 5})
    for (std::uint32_t seats : {1U, 2U, 3U}) {
      // 5 x 7 tiles: 7 columns a group, so that each of up to 3 seats works on each group.
      const MatmulGeometry g{.m = 50,
                             .k = 13,
                             .n = 70,
                             .precision = Precision::kFp64,
                             .tile_rows = 10,
                             .tile_columns = 10,
                             .panel_depth = 13,
                             .group_rows = group};
      EXPECT_DOUBLE_EQ(matmul_comm_volume(g, seats).bytes_to_workers,
                       counted_bytes_to_workers(g, seats))
          << group << " " << seats;
      EXPECT_DOUBLE_EQ(matmul_comm_volume(g, seats).bytes_from_workers, 50 * 70 * 8);
    }
}

TEST(CommVolume, StreamedPanelsAreReadForEachUnit) {
  const MatmulGeometry g{
      .m = 20, .k = 100, .n = 30, .tile_rows = 10, .tile_columns = 10, .panel_depth = 10};
  // 6 units, each 100 x (10 + 10) elements of 4 bytes.
  EXPECT_DOUBLE_EQ(matmul_comm_volume(g, 2).bytes_to_workers, 6 * 100 * 20 * 4);
}

TEST(MemoryEstimate, CountsWhatTheHeaderNames) {
  const MatmulGeometry whole{.m = 1000,
                             .k = 500,
                             .n = 800,
                             .tile_rows = 100,
                             .tile_columns = 200,
                             .panel_depth = 500,
                             .group_rows = 4};
  const MatmulMemory memory = matmul_memory(whole, 1);
  EXPECT_EQ(memory.panels_bytes(), (4 * 100 * 500 + 2 * 500 * 200 + 2 * 100 * 200) * 4ULL);
  EXPECT_EQ(memory.total_bytes(), memory.panels_bytes() + memory.workspace_bytes);
  EXPECT_EQ(matmul_memory(whole, 3).workspace_bytes, 3 * memory.workspace_bytes);

  MatmulGeometry streamed = whole;
  streamed.panel_depth = 50;
  EXPECT_EQ(matmul_memory(streamed, 1).panels_bytes(),
            (2 * 100 * 50 + 2 * 50 * 200 + 2 * 100 * 200) * 4ULL);

  // A group larger than the grid holds only the panels that there are; sides are cut to the matrix.
  const MatmulGeometry small{.m = 10,
                             .k = 20,
                             .n = 30,
                             .tile_rows = 64,
                             .tile_columns = 64,
                             .panel_depth = 64,
                             .group_rows = 9};
  EXPECT_EQ(matmul_memory(small, 1).panels_bytes(), (10 * 20 + 2 * 20 * 30 + 2 * 10 * 30) * 4ULL);
}

TEST(MemoryEstimate, HugeSizesSaturateInsteadOfWrapping) {
  const MatmulGeometry g{.m = 1ULL << 40,
                         .k = 1ULL << 40,
                         .n = 1ULL << 40,
                         .tile_rows = 1ULL << 40,
                         .tile_columns = 1ULL << 40,
                         .panel_depth = 1ULL << 40};
  EXPECT_EQ(matmul_memory(g, 1).total_bytes(), ~0ULL);
}

// Within the little that traffic and long units weigh.
TEST(TileChoice, MoreMemoryIsNotSlower) {
  const SeatModel seats{
      .seats = 2, .threads = 1, .flops_per_second = 2e11, .bytes_per_second = 1e9};
  double last = 1e300;
  for (std::uint64_t mib : {8, 16, 32, 64, 128, 512, 4096}) {
    const auto g = choose_tiles(4096, 4096, 4096, Precision::kFp32, mib << 20, seats);
    ASSERT_TRUE(g.has_value()) << mib;
    const double seconds = predict_time(*g, seats).total_seconds();
    EXPECT_LE(seconds, last * 1.1) << mib;
    last = seconds;
  }
}

TEST(Geometry, PlansOfOthersAreNotTrusted) {
  v1::MatmulPlan plan;
  set_geometry({.m = 10, .k = 10, .n = 10, .tile_rows = 5, .tile_columns = 5, .panel_depth = 10},
               plan);
  EXPECT_TRUE(geometry_of(plan).has_value());
  EXPECT_EQ(plan.grid_rows(), 2u);
  v1::MatmulPlan bad = plan;
  bad.set_tile_rows(0);
  EXPECT_FALSE(geometry_of(bad));
  bad = plan;
  bad.set_precision("fp13");
  EXPECT_FALSE(geometry_of(bad));
  bad = plan;
  bad.set_m(1ULL << 40);
  bad.set_n(1ULL << 40);
  bad.set_tile_rows(1ULL << 39);
  EXPECT_FALSE(geometry_of(bad));
}

}  // namespace
}  // namespace overwinter::plan
