// The verdict on one tile.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/plan/tile_grid.h"
#include "common/verify/freivalds.h"

namespace overwinter::verify {

// Where rows are multiplied again from. Called on the thread of check_tile, for few rows as a rule.
// `out` has exactly (rows x columns) elements, row-major.
template <class T>
struct FactorSource {
  using Read =
      std::function<Status(std::uint64_t row_begin, std::uint64_t row_end,
                           std::uint64_t column_begin, std::uint64_t column_end, std::span<T> out)>;
  Read read_a;
  Read read_b;
};

struct TileVerdict {
  bool accepted = false;
  // When rejected: one sentence, without any residual (a worker may come to read it).
  std::string reason;
  std::uint64_t rows_multiplied_again = 0;
};

// c: the tile, row-major, tile.elements() long. The status is an error only when `source` failed or
// the tile is not one of the sketch's geometry. Memory beside the arguments: under 16 MiB. Cost:
// O(tile), and for each row that is multiplied again 2 k columns.
template <class T>
[[nodiscard]] Result<TileVerdict> check_tile(const FreivaldsSketch& sketch, const plan::Tile& tile,
                                             std::span<const T> c, const FactorSource<T>& source);

extern template Result<TileVerdict> check_tile<float>(const FreivaldsSketch&, const plan::Tile&,
                                                      std::span<const float>,
                                                      const FactorSource<float>&);
extern template Result<TileVerdict> check_tile<double>(const FreivaldsSketch&, const plan::Tile&,
                                                       std::span<const double>,
                                                       const FactorSource<double>&);

}  // namespace overwinter::verify
