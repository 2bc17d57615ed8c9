// MatmulGeometry: the sizes of a product and how it is cut. The plain form of v1::MatmulPlan. A
// value.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/result.h"
#include "common/plan/tile_grid.h"

namespace overwinter::v1 {
class MatmulPlan;
}

namespace overwinter::plan {

// How it is multiplied, from which follows what is stored. bf16, fp16: factors of fp32 are rounded
// to that by who multiplies, sums and C are fp32 (fp16: above 65,504 is infinity; bf16: below
// 2^-126 is 0, in sums too where the processor multiplies bf16). int8: factors of int8, sums and C
// are int32 and exact.
enum class Precision : std::uint8_t { kFp32, kFp64, kBf16, kFp16, kInt8 };

// Of an element of A and B, as it is stored and sent.
[[nodiscard]] constexpr std::uint64_t factor_bytes(Precision p) {
  return p == Precision::kFp64 ? 8 : p == Precision::kInt8 ? 1 : 4;
}
// Of an element of C.
[[nodiscard]] constexpr std::uint64_t result_bytes(Precision p) {
  return p == Precision::kFp64 ? 8 : 4;
}
// A processor may lack instructions for it; then it is multiplied as fp32 (int8: exactly too).
[[nodiscard]] constexpr bool is_narrow(Precision p) {
  return p != Precision::kFp32 && p != Precision::kFp64;
}
// Factors are rounded before they are multiplied.
[[nodiscard]] constexpr bool rounds_factors(Precision p) {
  return p == Precision::kBf16 || p == Precision::kFp16;
}
// Products of it may be halved (strassen_plan.h): the additions of 16 bits would lose what they
// have, and int8's would leave int8.
[[nodiscard]] constexpr bool can_halve(Precision p) {
  return !is_narrow(p);
}
[[nodiscard]] std::string_view precision_name(Precision p);  // "fp32" … "int8"
[[nodiscard]] Result<Precision> parse_precision(std::string_view name);

// No tile of C is larger: it bounds what a landing holds in memory.
inline constexpr std::uint64_t kTileBytesMax = 64ULL << 20;
// int8: half of it, since who checks a tile of int32 widens it to fp64.
[[nodiscard]] constexpr std::uint64_t tile_bytes_max(Precision p) {
  return p == Precision::kInt8 ? kTileBytesMax / 2 : kTileBytesMax;
}
// int8: (-128)^2 so many times is below 2^31.
inline constexpr std::uint64_t kInt8DepthMax = 131'071;

// C (m x n) = A (m x k) x B (k x n).
//
// A unit is one tile of C. A seat computes it in one of two ways:
//  - whole panels (panel_depth >= k): the group_rows panels of A of the tile's group (tile_rows x k
//  each) stay in
//    memory while the seat works on units of that group, and so does the panel of B (k x
//    tile_columns) of the tile's column; a unit is one product of a panel of A and a panel of B;
//  - streamed panels (panel_depth < k): blocks tile_rows x panel_depth of A and panel_depth x
//  tile_columns of B
//    are read one after the other, and the tile of C is their sum; nothing is kept from unit to
//    unit.
// k = 0: no panels, C is zeros. m or n = 0: no units.
struct MatmulGeometry {
  std::uint64_t m = 0;
  std::uint64_t k = 0;
  std::uint64_t n = 0;
  Precision precision = Precision::kFp32;
  std::uint64_t tile_rows = 1;  // >= 1, as are the three below
  std::uint64_t tile_columns = 1;
  std::uint64_t panel_depth = 1;
  std::uint64_t group_rows = 1;
  // How often the product of a whole tile is halved (strassen_plan.h); smaller ones less often.
  std::uint32_t strassen_levels = 0;

  [[nodiscard]] TileGrid grid() const {
    return TileGrid(m, n, tile_rows, tile_columns, group_rows);
  }
  [[nodiscard]] bool whole_panels() const { return panel_depth >= k; }
  // Sides of a whole tile, cut to the matrix.
  [[nodiscard]] std::uint64_t rows() const { return tile_rows < m ? tile_rows : m; }
  [[nodiscard]] std::uint64_t columns() const { return tile_columns < n ? tile_columns : n; }
  [[nodiscard]] std::uint64_t depth() const { return panel_depth < k ? panel_depth : k; }
  [[nodiscard]] double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  }
  friend bool operator==(const MatmulGeometry&, const MatmulGeometry&) = default;
};

// From the message of a plan. Refuses (INVALID_ARGUMENT) a side of zero, a tile above
// tile_bytes_max, int8 over more than kInt8DepthMax, an unknown precision, too many levels, levels
// of what is not halved, and sizes whose bytes overflow 63 bits: a worker trusts no plan blindly.
[[nodiscard]] Result<MatmulGeometry> geometry_of(const v1::MatmulPlan& plan);
// Fills sizes, precision and grid of the message; digests, orders and algorithm are the caller's.
void set_geometry(const MatmulGeometry& geometry, v1::MatmulPlan& plan);

// a * b, or the largest value when that overflows.
[[nodiscard]] std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b);
[[nodiscard]] std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b);  // a + b, the same

}  // namespace overwinter::plan
