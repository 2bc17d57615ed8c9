// Elements of C multiplied again, in a wider type, and compared one by one. Internal to the room.
//
// A finite element c is right when |c - v| <= 300 * max(u, e) * sqrt(sum (a_l b_l)^2) + 4 u |v|,
// where v is the sum in the wider type, and e is what one-after-the-other summation in the
// product's precision was off by, in that unit, over the row: another order of summation is not 300
// times worse, and an error 1,000 times larger is seen. An element that is not finite is right when
// IEEE 754 gives it in some order of summation: a NaN where a product is NaN or infinities of both
// signs meet; an infinity where a factor is infinite, or where the sum of the positive (negative)
// products alone passes the largest number.
#pragma once

#include <cstdint>
#include <span>

#include "common/base/result.h"
#include "common/plan/tile_grid.h"
#include "common/verify/tile_check.h"

namespace overwinter::verify {

// allowed: beside that, alike for all elements; of products that are halved.
// rows: absolute, ascending, of the tile; columns [column_begin, column_end), absolute, of the
// tile. True when all these elements are right.
template <class T>
[[nodiscard]] Result<bool> elements_are_right(const plan::MatmulGeometry& geometry,
                                              const plan::Tile& tile, std::span<const T> c,
                                              std::span<const std::uint64_t> rows,
                                              std::uint64_t column_begin, std::uint64_t column_end,
                                              double allowed, const FactorSource<T>& source);

}  // namespace overwinter::verify
