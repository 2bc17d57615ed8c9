#include "common/verify/tile_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "common/verify/row_check.h"
#include "common/verify/row_kernels.h"

namespace overwinter::verify {
namespace {

// A row this many times its tau off is no matter of summation order: the tile is wrong, and nothing
// is multiplied again for it.
constexpr double kGrossErrors = 4096;
// What halving a product once adds to its errors.
constexpr double kGrowth = 4;
// Of an element of a halved product; as row_check.h has it for a plain one.
constexpr double kHalvedErrorsMax = 300;

template <class T>
class Checker {
 public:
  Checker(const FreivaldsSketch& sketch, const plan::Tile& tile, std::span<const T> c,
          const FactorSource<T>& source)
      : sketch_(sketch), tile_(tile), c_(c), source_(source) {}

  Result<TileVerdict> run() {
    if (sketch_.geometry().strassen_levels > 0) measure_tile();
    for (std::size_t j = sketch_.first_block(tile_.column_begin);
         j < sketch_.blocks().size() && sketch_.blocks()[j].begin < tile_.column_end; ++j) {
      auto right = block_is_right(j);
      if (!right) return fail(right.error());
      if (!*right) return rejected();
    }
    auto right = odd_columns_are_right();
    if (!right) return fail(right.error());
    if (!*right) return rejected();
    verdict_.accepted = true;
    return verdict_;
  }

 private:
  // Of a product that is halved: the largest row of A and column of B, squared, and the largest
  // mean of squares of a row of C.
  void measure_tile() {
    growth_ = std::pow(kGrowth, sketch_.geometry().strassen_levels);
    double a2 = 0;
    double b2 = 0;
    for (std::uint64_t row = tile_.row_begin; row < tile_.row_end; ++row)
      if (std::isfinite(sketch_.a_norm2(row))) a2 = std::max(a2, sketch_.a_norm2(row));
    for (std::size_t j = sketch_.first_block(tile_.column_begin);
         j < sketch_.blocks().size() && sketch_.blocks()[j].begin < tile_.column_end; ++j) {
      b2 = std::max(b2, sketch_.b_column_norm2(j));
      const ColumnBlock block = sketch_.blocks()[j];
      const std::size_t width = block.end - block.begin;
      for (std::uint64_t row = tile_.row_begin; row < tile_.row_end; ++row) {
        const double norm2 =
            row_sums(row_of(row, block.begin), sketch_.weights(block), width).norm2;
        if (std::isfinite(norm2)) c2_ = std::max(c2_, norm2 / static_cast<double>(width));
      }
    }
    product2_ = a2 * b2;
  }

  // Beside what an element of a plain product may be off.
  [[nodiscard]] double allowed() const {
    const double u = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
    return kHalvedErrorsMax * growth_ * u * std::sqrt(product2_);
  }

  enum class RowVerdict { kRight, kUnclear, kWrong };

  // The rows of a block that the sketch cannot decide, and the one that is furthest off.
  struct Unclear {
    std::vector<std::uint64_t> rows;
    std::size_t worst = 0;
    double worst_times_tau = -1;

    void add(std::uint64_t row, double times_tau) {
      // NaN is the worst.
      if (!std::isnan(worst_times_tau) && !(times_tau <= worst_times_tau)) {
        worst = rows.size();
        worst_times_tau = times_tau;
      }
      rows.push_back(row);
    }
  };

  RowVerdict judge(std::size_t j, std::uint64_t row, const RowSums& sums, double& times_tau) const {
    const plan::MatmulGeometry& g = sketch_.geometry();
    const double u = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
    const auto k = static_cast<double>(g.k);
    const ColumnBlock block = sketch_.blocks()[j];
    const auto width = static_cast<double>(block.end - block.begin);
    double scale2 = sketch_.a_norm2(row) * sketch_.b_norm2(j) + k * sums.norm2;
    if (growth_ > 0 && std::isfinite(scale2))
      scale2 = std::max(scale2, growth_ * growth_ * width * (product2_ + k * c2_));
    const double lost = k * std::sqrt(width) * lost_per_term(g.precision);
    const double tau = sketch_.alpha() * u * std::sqrt(scale2) + lost;
    const double residual = std::abs(sums.dot - sketch_.sums(j)[row]);
    times_tau = residual / tau;
    // Comparisons with NaN are false: such a row is unclear.
    if (std::isfinite(tau) && residual <= tau) return RowVerdict::kRight;
    if (std::isfinite(residual) && residual > kGrossErrors * tau) return RowVerdict::kWrong;
    return RowVerdict::kUnclear;
  }

  Result<bool> block_is_right(std::size_t j) {
    const ColumnBlock block = sketch_.blocks()[j];
    const std::size_t width = block.end - block.begin;
    const auto odd = sketch_.odd_columns(block.begin, block.end);
    std::vector<T> zeroed(odd.empty() ? 0 : width);
    Unclear unclear;
    for (std::uint64_t row = tile_.row_begin; row < tile_.row_end; ++row) {
      const T* c = row_of(row, block.begin);
      if (std::isnan(sketch_.a_norm2(row))) {
        if (!all_nan(c, width)) return false;
        continue;
      }
      if (!odd.empty()) {
        std::copy(c, c + width, zeroed.begin());
        for (std::uint64_t column : odd) zeroed[column - block.begin] = 0;
        c = zeroed.data();
      }
      double times_tau = 0;
      switch (judge(j, row, row_sums(c, sketch_.weights(block), width), times_tau)) {
        case RowVerdict::kRight:
          break;
        case RowVerdict::kUnclear:
          unclear.add(row, times_tau);
          break;
        case RowVerdict::kWrong:
          return false;
      }
    }
    return rows_are_right(block, odd, unclear);
  }

  // The worst row first: a wrong tile is then refused for the price of one row.
  Result<bool> rows_are_right(const ColumnBlock& block, std::span<const std::uint64_t> odd,
                              const Unclear& unclear) {
    if (unclear.rows.empty()) return true;
    verdict_.rows_multiplied_again += unclear.rows.size();
    const std::span<const std::uint64_t> rows(unclear.rows);
    for (const auto& part : {rows.subspan(unclear.worst, 1), rows}) {
      // The finite columns between the odd ones; those are checked for all rows in any case.
      std::uint64_t begin = block.begin;
      for (std::size_t i = 0; i <= odd.size(); ++i) {
        const std::uint64_t end = i < odd.size() ? odd[i] : block.end;
        if (begin < end) {
          auto right = elements_are_right<T>(sketch_.geometry(), tile_, c_, part, begin, end,
                                             allowed(), source_);
          if (!right || !*right) return right;
        }
        begin = end + 1;
      }
      if (rows.size() == 1) break;
    }
    return true;
  }

  [[nodiscard]] const T* row_of(std::uint64_t row, std::uint64_t column) const {
    return c_.data() + (row - tile_.row_begin) * tile_.columns() + (column - tile_.column_begin);
  }

  static bool all_nan(const T* values, std::size_t count) {
    return std::all_of(values, values + count, [](T value) { return std::isnan(value); });
  }

  Result<bool> odd_columns_are_right() {
    const auto odd = sketch_.odd_columns(tile_.column_begin, tile_.column_end);
    if (odd.empty()) return true;
    std::vector<std::uint64_t> rows(tile_.rows());
    std::iota(rows.begin(), rows.end(), tile_.row_begin);
    for (std::uint64_t column : odd) {
      if (sketch_.is_nan_column(column)) {
        for (std::uint64_t row : rows)
          if (!std::isnan(*row_of(row, column))) return false;
        continue;
      }
      verdict_.rows_multiplied_again += rows.size();
      auto right = elements_are_right<T>(sketch_.geometry(), tile_, c_, rows, column, column + 1,
                                         allowed(), source_);
      if (!right || !*right) return right;
    }
    return true;
  }

  TileVerdict rejected() {
    verdict_.reason = "The tile at row " + std::to_string(tile_.row_begin) + ", column " +
                      std::to_string(tile_.column_begin) + " of C is not the product of A and B.";
    return verdict_;
  }

  const FreivaldsSketch& sketch_;
  const plan::Tile& tile_;
  std::span<const T> c_;
  const FactorSource<T>& source_;
  TileVerdict verdict_;
  double growth_ = 0;  // of halved products alone, as the two below
  double product2_ = 0;
  double c2_ = 0;
};

bool is_tile_of(const plan::MatmulGeometry& g, const plan::Tile& tile) {
  return tile.row_begin < tile.row_end && tile.column_begin < tile.column_end &&
         tile.row_end <= g.m && tile.column_end <= g.n && tile.row_begin % g.tile_rows == 0 &&
         tile.column_begin % g.tile_columns == 0 && tile.rows() <= g.tile_rows &&
         tile.column_end == std::min(g.n, tile.column_begin + g.columns());
}

}  // namespace

template <class T>
Result<TileVerdict> check_tile(const FreivaldsSketch& sketch, const plan::Tile& tile,
                               std::span<const T> c, const FactorSource<T>& source) {
  const plan::MatmulGeometry& g = sketch.geometry();
  if (checked_in_fp64(g.precision) != std::is_same_v<T, double> || !is_tile_of(g, tile))
    return fail(Code::kInvalidArgument, "The tile is not one of this product.");
  if (c.size() != tile.elements())
    return fail(Code::kInvalidArgument, "The tile has " + std::to_string(tile.elements()) +
                                            " elements, " + std::to_string(c.size()) +
                                            " were sent.");
  return Checker<T>(sketch, tile, c, source).run();
}

template Result<TileVerdict> check_tile<float>(const FreivaldsSketch&, const plan::Tile&,
                                               std::span<const float>, const FactorSource<float>&);
template Result<TileVerdict> check_tile<double>(const FreivaldsSketch&, const plan::Tile&,
                                                std::span<const double>,
                                                const FactorSource<double>&);

}  // namespace overwinter::verify
