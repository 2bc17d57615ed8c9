// TileGrid: which unit of a product is which tile of C. Pure arithmetic; a value.
#pragma once

#include <cstdint>

#include "common/domain/ids.h"

namespace overwinter::plan {

// Rows [row_begin, row_end) and columns [column_begin, column_end) of C.
struct Tile {
  std::uint64_t row_begin = 0;
  std::uint64_t row_end = 0;
  std::uint64_t column_begin = 0;
  std::uint64_t column_end = 0;
  [[nodiscard]] std::uint64_t rows() const { return row_end - row_begin; }
  [[nodiscard]] std::uint64_t columns() const { return column_end - column_begin; }
  [[nodiscard]] std::uint64_t elements() const { return rows() * columns(); }
  friend bool operator==(const Tile&, const Tile&) = default;
};

// Units are numbered so that a contiguous range reuses panels: the grid is cut into groups of
// `group_rows` tile rows; inside a group, units run down each tile column before they go on to the
// next. So a range of group_rows units shares one panel of B, and consecutive columns share the
// same group_rows panels of A. Example, 3 x 2 tiles, group_rows 2:   0 2      (the last group has
// the rows that are left)
//                                       1 3
//                                       4 5
class TileGrid {
 public:
  // Sizes of C and of a whole tile, in elements. tile_rows, tile_columns and group_rows are at
  // least 1. m or n of 0: no units.
  TileGrid(std::uint64_t m, std::uint64_t n, std::uint64_t tile_rows, std::uint64_t tile_columns,
           std::uint64_t group_rows);

  [[nodiscard]] std::uint64_t units() const { return grid_rows_ * grid_columns_; }
  [[nodiscard]] std::uint64_t grid_rows() const { return grid_rows_; }
  [[nodiscard]] std::uint64_t grid_columns() const { return grid_columns_; }
  [[nodiscard]] Tile tile(UnitNumber unit) const;  // unit < units()
  [[nodiscard]] UnitNumber unit(std::uint64_t grid_row, std::uint64_t grid_column) const;
  // Elements of C in all units before this one: where a tile begins in a file that holds tiles in
  // unit order. unit <= units(): units() itself gives the size of the whole file.
  [[nodiscard]] std::uint64_t elements_before(UnitNumber unit) const;

 private:
  std::uint64_t m_;
  std::uint64_t n_;
  std::uint64_t tile_rows_;
  std::uint64_t tile_columns_;
  std::uint64_t group_rows_;
  std::uint64_t grid_rows_;
  std::uint64_t grid_columns_;
};

}  // namespace overwinter::plan
