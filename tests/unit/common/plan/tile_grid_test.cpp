#include "common/plan/tile_grid.h"

#include <gtest/gtest.h>

#include <vector>

namespace overwinter::plan {
namespace {

TEST(TileGrid, NumbersTilesAsTheHeaderDraws) {
  const TileGrid grid(3, 2, 1, 1, 2);
  EXPECT_EQ(grid.unit(0, 0), 0u);
  EXPECT_EQ(grid.unit(1, 0), 1u);
  EXPECT_EQ(grid.unit(0, 1), 2u);
  EXPECT_EQ(grid.unit(1, 1), 3u);
  EXPECT_EQ(grid.unit(2, 0), 4u);
  EXPECT_EQ(grid.unit(2, 1), 5u);
}

TEST(TileGrid, EmptySidesHaveNoUnits) {
  EXPECT_EQ(TileGrid(0, 5, 2, 2, 1).units(), 0u);
  EXPECT_EQ(TileGrid(5, 0, 2, 2, 1).units(), 0u);
  EXPECT_EQ(TileGrid(5, 0, 2, 2, 1).elements_before(0), 0u);
}

// Every element of C is in exactly one tile, unit() undoes tile(), and elements_before() is the
// running sum.
TEST(TileGrid, CoversEveryElementOnce) {
  for (std::uint64_t m : {1, 2, 7, 12})
    for (std::uint64_t n : {1, 3, 8})
      for (std::uint64_t rows : {1, 2, 5, 20})
        for (std::uint64_t columns : {1, 3, 9})
          for (std::uint64_t group : {1, 2, 3, 50}) {
            const TileGrid grid(m, n, rows, columns, group);
            std::vector<int> seen(m * n, 0);
            std::uint64_t before = 0;
            for (UnitNumber unit = 0; unit < grid.units(); ++unit) {
              const Tile t = grid.tile(unit);
              ASSERT_EQ(grid.elements_before(unit), before);
              ASSERT_EQ(grid.unit(t.row_begin / rows, t.column_begin / columns), unit);
              ASSERT_GT(t.elements(), 0u);
              before += t.elements();
              for (auto i = t.row_begin; i < t.row_end; ++i)
                for (auto j = t.column_begin; j < t.column_end; ++j) ++seen[i * n + j];
            }
            ASSERT_EQ(grid.elements_before(grid.units()), m * n);
            for (int times : seen) ASSERT_EQ(times, 1);
          }
}

TEST(TileGrid, ARangeOfAGroupSharesOnePanelOfB) {
  const TileGrid grid(100, 100, 10, 10, 4);
  for (UnitNumber unit = 0; unit < 4; ++unit) EXPECT_EQ(grid.tile(unit).column_begin, 0u);
  for (UnitNumber unit = 0; unit < 40; ++unit) EXPECT_LT(grid.tile(unit).row_begin, 40u);
}

}  // namespace
}  // namespace overwinter::plan
