// Freivalds' check of tiles of C = A x B: a sketch made once a job from a secret seed, then O(tile)
// a tile.
//
// C is cut into column blocks (the tile columns, cut again at kBlockColumnsMax). For block j with
// columns J there is a secret random vector x_j (entries +-[0.75, 1)); the sketch holds s_j = A
// (B[:,J] x_j). A tile with rows R and block j is right when C[R,J] x_j = s_j[R], row by row,
// within
//     tau_i = alpha * u * sqrt(|A_i|^2 |B_J|_F^2 + k |C_i,J|^2)
// with u = 2^-24 (fp32, bf16, fp16) or 2^-53 (fp64, int8). The first term is the rounding of sums
// whose terms have mixed signs, the second that of sums that drift; both are bounded by sqrt(k+1)
// |A_i| |B_J| (that they grow with the root: Higham and Mary, A new approach to probabilistic
// rounding error analysis, SIAM J. Sci. Comput. 41, 2019). alpha is set from a few rows that the
// coordinator multiplies itself. All sums here are in fp64.
//
// A product that is halved (Strassen's method) mixes rows and columns: its error in one of them is
// as large as the largest ones make it. There, with 4^levels for what a level adds (errors grow by
// a factor of 3 a level where elements are alike: FACTS §2),
//     tau = alpha * u * 4^levels * sqrt(columns of J) * sqrt(max |A_i|^2 max |B_j|^2 + k max c^2)
// over rows i and columns j of the tile, and max c^2 the largest mean of a row's squares.
//
// A row above its tau, a row with a value that is not finite, and a column of B that holds one, are
// multiplied again (in a wider type) and compared element by element, as IEEE 754 says: see
// row_check.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "common/plan/matmul_geometry.h"

namespace overwinter::verify {

// 256 secret random bits, drawn by the caller from the system's generator. Workers never see it,
// nor any residual.
using SketchSeed = std::array<std::uint64_t, 4>;

// bf16, fp16: who feeds the factors and hands them out to be multiplied again rounds them as the
// worker does; then sums of fp32 are checked like any others. int8: factors and C are fed as fp64,
// which holds them; their sums have no rounding, and a difference of 1 is far above tau.
[[nodiscard]] constexpr bool checked_in_fp64(plan::Precision p) {
  return p == plan::Precision::kFp64 || p == plan::Precision::kInt8;
}

// The most that a term of a sum loses by underflow: the smallest number of the type of sums. The
// instructions for bf16 know no subnormal numbers (Intel's manual, VDPBF16PS: inputs and outputs
// below 2^-126 are 0), so with them it is the smallest normal one, with room for a product and a
// sum.
[[nodiscard]] constexpr double lost_per_term(plan::Precision p) {
  return p == plan::Precision::kBf16 ? 0x1p-125 : checked_in_fp64(p) ? 0x1p-1074 : 0x1p-149;
}

inline constexpr std::uint64_t kBlockColumnsMax = 2048;
inline constexpr std::uint32_t kCalibrationRows = 4;

// Columns [begin, end) of C that share one random vector.
struct ColumnBlock {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Immutable after build: any number of threads may read it.
class FreivaldsSketch {
 public:
  [[nodiscard]] const plan::MatmulGeometry& geometry() const { return geometry_; }
  [[nodiscard]] double alpha() const { return alpha_; }
  [[nodiscard]] std::uint64_t memory_bytes() const;

  // Blocks of the tile column that begins at this column: indexes [first, last).
  [[nodiscard]] std::span<const ColumnBlock> blocks() const { return blocks_; }
  [[nodiscard]] std::size_t first_block(std::uint64_t column_begin) const;
  // Weights of a block's columns, and s of its rows (m values).
  [[nodiscard]] const double* weights(const ColumnBlock& block) const { return &x_[block.begin]; }
  [[nodiscard]] const double* sums(std::size_t block) const {
    return sums_.data() + block * geometry_.m;
  }
  // |A_i|^2; NaN exactly when the row holds a NaN, so that its row of C must be all NaN.
  [[nodiscard]] double a_norm2(std::uint64_t row) const { return a_norm2_[row]; }
  [[nodiscard]] double b_norm2(std::size_t block) const { return b_norm2_[block]; }
  // The largest |B_j|^2 of the block's finite columns; of halved products alone.
  [[nodiscard]] double b_column_norm2(std::size_t block) const { return b_column_norm2_[block]; }
  // Columns of B in [begin, end) with a value that is not finite, in order.
  [[nodiscard]] std::span<const std::uint64_t> odd_columns(std::uint64_t begin,
                                                           std::uint64_t end) const;
  // Whether that column holds a NaN: then the column of C must be all NaN.
  [[nodiscard]] bool is_nan_column(std::uint64_t column) const;

 private:
  friend class SketchBuilder;
  plan::MatmulGeometry geometry_;
  double alpha_ = 1;
  std::vector<ColumnBlock> blocks_;
  std::vector<double> x_;                     // one weight a column of C
  std::vector<double> sums_;                  // s: block-major, m each
  std::vector<double> a_norm2_;               // |A_i|^2, not finite when the row is not
  std::vector<double> b_norm2_;               // |B_J|_F^2 over finite columns
  std::vector<double> b_column_norm2_;        // empty: the product is not halved
  std::vector<std::uint64_t> b_nan_columns_;  // sorted, a part of the next
  std::vector<std::uint64_t>
      b_odd_columns_;  // sorted: columns of B with a value that is not finite
};

// Feeds of A and B in any block sizes, in this order:
//   SketchBuilder builder(geometry, seed);
//   for i in builder.calibration_rows(): builder.set_calibration_row(i, row i of A)       k
//   elements do { for blocks of rows of B from the top: builder.add_b_rows(data); } while
//   (!builder.finish_b()); for blocks of rows of A from the top: builder.add_a_rows(data);
//   FreivaldsSketch sketch = std::move(builder).finish();
// Data is row-major, whole rows; T is double where checked_in_fp64, else float. B
// is asked for a second time only when it holds values that are not finite. Memory: (k + m) x
// blocks doubles, where there are n / min(tile_columns, 2048) blocks. Not synchronised.
class SketchBuilder {
 public:
  SketchBuilder(const plan::MatmulGeometry& geometry, const SketchSeed& seed);

  // Memory that a build of this geometry holds at its peak.
  [[nodiscard]] static std::uint64_t memory_bytes(const plan::MatmulGeometry& geometry);

  // Row numbers of A that the coordinator multiplies itself; none when the product is empty.
  [[nodiscard]] std::span<const std::uint64_t> calibration_rows() const {
    return calibration_rows_;
  }
  template <class T>
  void set_calibration_row(std::uint64_t row, std::span<const T> a_row);

  template <class T>
  void add_b_rows(std::span<const T> rows);
  // All k rows are in. False: feed B again from its first row.
  [[nodiscard]] bool finish_b();

  template <class T>
  void add_a_rows(std::span<const T> rows);
  [[nodiscard]] FreivaldsSketch finish() &&;

 private:
  template <class T>
  void add_b_row(const T* row);
  // The same for a block that has odd columns: they count as zeros.
  template <class T>
  void add_odd_block(std::size_t block, const T* row);
  template <class T>
  void calibrate_with(const T* row);
  void set_column_norms();
  void restart_b();
  void set_alpha();
  [[nodiscard]] double calibration_ratio(std::size_t row) const;

  FreivaldsSketch sketch_;
  std::vector<double> y_;  // B x: block-major, k each
  std::uint64_t b_rows_ = 0;
  std::uint64_t a_rows_ = 0;
  bool odd_found_ = false;               // in this pass
  std::vector<std::uint8_t> nan_;        // a flag a column
  std::vector<std::uint8_t> odd_;        // a flag a column
  std::vector<std::uint8_t> block_odd_;  // a flag a block
  std::vector<double> column_norm2_;     // |B_j|^2; of halved products alone
  std::vector<double> zeroed_;           // a block's part of a row without its odd columns
  // The calibration: rows of A, times the columns [window_begin_, window_end_) of B.
  std::vector<std::uint64_t> calibration_rows_;
  std::vector<double> calibration_a_;  // rows x k
  std::uint64_t window_begin_ = 0;
  std::uint64_t window_end_ = 0;
  double window_norm2_ = 0;
  std::vector<long double> exact_;  // rows x window, in a wider type (fp32: filled through fp64)
  std::vector<double> wide_;        // the same in fp64
  std::vector<float>
      rounded32_;  // rows x window, one term after the other in the product's precision
  std::vector<double> rounded64_;
};

}  // namespace overwinter::verify
