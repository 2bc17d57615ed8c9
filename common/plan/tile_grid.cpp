#include "common/plan/tile_grid.h"

#include <algorithm>

#include "common/base/check.h"

namespace overwinter::plan {
namespace {

std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) {
  return a == 0 ? 0 : (a - 1) / b + 1;
}

}  // namespace

TileGrid::TileGrid(std::uint64_t m, std::uint64_t n, std::uint64_t tile_rows,
                   std::uint64_t tile_columns, std::uint64_t group_rows)
    : m_(m), n_(n), tile_rows_(tile_rows), tile_columns_(tile_columns), group_rows_(group_rows) {
  check(tile_rows > 0 && tile_columns > 0 && group_rows > 0, "a tile has no side of zero");
  const bool empty = m == 0 || n == 0;
  grid_rows_ = empty ? 0 : ceil_div(m, tile_rows);
  grid_columns_ = empty ? 0 : ceil_div(n, tile_columns);
  group_rows_ = std::min(group_rows_, std::max<std::uint64_t>(grid_rows_, 1));
}

Tile TileGrid::tile(UnitNumber unit) const {
  check(unit < units(), "the unit is of this grid");
  const std::uint64_t units_of_group = group_rows_ * grid_columns_;
  const std::uint64_t first_row = unit / units_of_group * group_rows_;
  const std::uint64_t rows = std::min(group_rows_, grid_rows_ - first_row);
  const std::uint64_t in_group = unit % units_of_group;
  const std::uint64_t row = first_row + in_group % rows;
  const std::uint64_t column = in_group / rows;
  return {row * tile_rows_, std::min(m_, (row + 1) * tile_rows_), column * tile_columns_,
          std::min(n_, (column + 1) * tile_columns_)};
}

UnitNumber TileGrid::unit(std::uint64_t grid_row, std::uint64_t grid_column) const {
  check(grid_row < grid_rows_ && grid_column < grid_columns_, "the tile is of this grid");
  const std::uint64_t first_row = grid_row / group_rows_ * group_rows_;
  const std::uint64_t rows = std::min(group_rows_, grid_rows_ - first_row);
  return first_row * grid_columns_ + grid_column * rows + (grid_row - first_row);
}

std::uint64_t TileGrid::elements_before(UnitNumber unit) const {
  check(unit <= units(), "the unit is of this grid");
  if (unit == units()) return grid_rows_ == 0 ? 0 : m_ * n_;
  const Tile at = tile(unit);
  const std::uint64_t group_height = group_rows_ * tile_rows_;
  const std::uint64_t group_begin = at.row_begin / group_height * group_height;
  const std::uint64_t group_end = std::min(m_, group_begin + group_height);
  return group_begin * n_ + (group_end - group_begin) * at.column_begin +
         (at.row_begin - group_begin) * at.columns();
}

}  // namespace overwinter::plan
