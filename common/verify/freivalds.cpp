#include "common/verify/freivalds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "common/base/check.h"
#include "common/verify/row_kernels.h"

namespace overwinter::verify {
namespace {

constexpr std::uint64_t kWindowColumnsMax = 256;
// tau is this many times the rounding error that the calibration saw: far beyond what 10^7 rows
// show by chance.
constexpr double kSafety = 8;
// Factors of small integers have no rounding errors; what a sum of other numbers has at least.
constexpr double kAlphaMin = 1;
constexpr double kAlphaMax = 64;
// When no calibration row is finite.
constexpr double kAlphaUnknown = 16;

// SplitMix64's finaliser over a keyed counter: statistically good, and secret as long as its key
// is, since nothing that is computed with the weights leaves the coordinator.
std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}
std::uint64_t random_bits(const SketchSeed& seed, std::uint64_t counter) {
  std::uint64_t z = mix(counter + seed[0]);
  z = mix((z ^ seed[1]) + 0x9E3779B97F4A7C15ULL);
  z = mix((z + seed[2]) ^ 0xD1B54A32D192ED03ULL);
  return mix(z ^ seed[3]);
}

// Sign and size in [0.75, 1): no entry hides an error, and two equal errors cancel only by a chance
// of tau / error.
double weight(const SketchSeed& seed, std::uint64_t column) {
  const std::uint64_t bits = random_bits(seed, column);
  const double size = 0.75 + 0.25 * static_cast<double>(bits >> 11) * 0x1p-53;
  return (bits & 1) != 0 ? size : -size;
}

double unit_roundoff(plan::Precision p) {
  return checked_in_fp64(p) ? 0x1p-53 : 0x1p-24;
}

std::vector<ColumnBlock> cut(const plan::MatmulGeometry& g) {
  std::vector<ColumnBlock> blocks;
  if (g.m == 0) return blocks;
  for (std::uint64_t tile = 0; tile < g.n; tile += g.columns()) {
    const std::uint64_t tile_end = std::min(g.n, tile + g.columns());
    for (std::uint64_t begin = tile; begin < tile_end; begin += kBlockColumnsMax)
      blocks.push_back({begin, std::min(tile_end, begin + kBlockColumnsMax)});
  }
  return blocks;
}

std::uint64_t block_count(const plan::MatmulGeometry& g) {
  if (g.m == 0 || g.n == 0) return 0;
  const std::uint64_t in_tile = (g.columns() - 1) / kBlockColumnsMax + 1;
  return ((g.n - 1) / g.columns() + 1) * in_tile;
}

template <class T>
constexpr bool is_precision(plan::Precision p) {
  return checked_in_fp64(p) == std::is_same_v<T, double>;
}

}  // namespace

std::uint64_t FreivaldsSketch::memory_bytes() const {
  return (x_.size() + sums_.size() + a_norm2_.size() + b_norm2_.size() + b_column_norm2_.size() +
          b_odd_columns_.size() + b_nan_columns_.size()) *
             sizeof(double) +
         blocks_.size() * sizeof(ColumnBlock);
}

std::size_t FreivaldsSketch::first_block(std::uint64_t column_begin) const {
  const auto at = std::lower_bound(
      blocks_.begin(), blocks_.end(), column_begin,
      [](const ColumnBlock& block, std::uint64_t column) { return block.begin < column; });
  return static_cast<std::size_t>(at - blocks_.begin());
}

std::span<const std::uint64_t> FreivaldsSketch::odd_columns(std::uint64_t begin,
                                                            std::uint64_t end) const {
  const auto first = std::lower_bound(b_odd_columns_.begin(), b_odd_columns_.end(), begin);
  const auto last = std::lower_bound(first, b_odd_columns_.end(), end);
  return {first, last};
}

bool FreivaldsSketch::is_nan_column(std::uint64_t column) const {
  return std::binary_search(b_nan_columns_.begin(), b_nan_columns_.end(), column);
}

std::uint64_t SketchBuilder::memory_bytes(const plan::MatmulGeometry& g) {
  const std::uint64_t doubles = plan::saturating_product(block_count(g), g.k + g.m + 4) + g.n + g.m;
  const std::uint64_t norms = g.strassen_levels > 0 ? g.n + block_count(g) : 0;
  const std::uint64_t calibration = kCalibrationRows * (g.k + 4 * kWindowColumnsMax);
  return plan::saturating_product(doubles + norms + calibration, sizeof(double)) + 2 * g.n;
}

SketchBuilder::SketchBuilder(const plan::MatmulGeometry& geometry, const SketchSeed& seed) {
  sketch_.geometry_ = geometry;
  sketch_.blocks_ = cut(geometry);
  const std::size_t blocks = sketch_.blocks_.size();
  if (blocks == 0) return;
  sketch_.x_.resize(geometry.n);
  for (std::uint64_t column = 0; column < geometry.n; ++column)
    sketch_.x_[column] = weight(seed, column);
  sketch_.sums_.resize(blocks * geometry.m);
  sketch_.a_norm2_.resize(geometry.m);
  odd_.assign(geometry.n, 0);
  nan_.assign(geometry.n, 0);
  block_odd_.assign(blocks, 0);
  y_.resize(blocks * geometry.k);

  // Numbers after all columns' own: these choices are independent of the weights.
  const std::uint64_t rows = std::min<std::uint64_t>(kCalibrationRows, geometry.m);
  for (std::uint64_t i = 0; i < rows; ++i) {
    const std::uint64_t begin = geometry.m * i / rows;
    const std::uint64_t end = geometry.m * (i + 1) / rows;
    calibration_rows_.push_back(begin + random_bits(seed, geometry.n + i) % (end - begin));
  }
  const std::uint64_t window = std::min(kWindowColumnsMax, geometry.n);
  window_begin_ = random_bits(seed, geometry.n + rows) % (geometry.n - window + 1);
  window_end_ = window_begin_ + window;
  calibration_a_.assign(rows * geometry.k, 0);
  restart_b();
}

void SketchBuilder::restart_b() {
  const std::size_t elements = calibration_rows_.size() * (window_end_ - window_begin_);
  b_rows_ = 0;
  odd_found_ = false;
  window_norm2_ = 0;
  column_norm2_.assign(sketch_.geometry_.strassen_levels > 0 ? sketch_.geometry_.n : 0, 0);
  sketch_.b_norm2_.assign(sketch_.blocks_.size(), 0);
  if (!checked_in_fp64(sketch_.geometry_.precision)) {
    wide_.assign(elements, 0);
    rounded32_.assign(elements, 0);
  } else {
    exact_.assign(elements, 0);
    rounded64_.assign(elements, 0);
  }
}

template <class T>
void SketchBuilder::set_calibration_row(std::uint64_t row, std::span<const T> a_row) {
  check(is_precision<T>(sketch_.geometry_.precision) && a_row.size() == sketch_.geometry_.k,
        "a calibration row has k elements of the product's precision");
  const auto at = std::find(calibration_rows_.begin(), calibration_rows_.end(), row);
  check(at != calibration_rows_.end(), "the row is a calibration row");
  const auto index = static_cast<std::size_t>(at - calibration_rows_.begin());
  std::copy(a_row.begin(), a_row.end(),
            calibration_a_.begin() + static_cast<std::ptrdiff_t>(index * sketch_.geometry_.k));
}

template <class T>
void SketchBuilder::add_b_rows(std::span<const T> rows) {
  const plan::MatmulGeometry& g = sketch_.geometry_;
  if (sketch_.blocks_.empty()) return;
  check(
      is_precision<T>(g.precision) && rows.size() % g.n == 0 && rows.size() / g.n <= g.k - b_rows_,
      "rows of B are whole, of the product's precision, and k in all");
  for (std::size_t at = 0; at < rows.size(); at += g.n) add_b_row(rows.data() + at);
}

template <class T>
void SketchBuilder::add_b_row(const T* row) {
  for (std::size_t j = 0; j < sketch_.blocks_.size(); ++j) {
    const ColumnBlock block = sketch_.blocks_[j];
    const std::size_t width = block.end - block.begin;
    if (block_odd_[j] == 0) {
      const RowSums sums = row_sums(row + block.begin, &sketch_.x_[block.begin], width);
      if (std::isfinite(sums.dot) && std::isfinite(sums.norm2)) {
        y_[j * sketch_.geometry_.k + b_rows_] = sums.dot;
        sketch_.b_norm2_[j] += sums.norm2;
        continue;
      }
    }
    add_odd_block(j, row);
  }
  for (std::size_t column = 0; column < column_norm2_.size(); ++column) {
    const auto value = static_cast<double>(row[column]);
    column_norm2_[column] += value * value;
  }
  calibrate_with(row);
  ++b_rows_;
}

template <class T>
void SketchBuilder::add_odd_block(std::size_t j, const T* row) {
  const ColumnBlock block = sketch_.blocks_[j];
  const std::size_t width = block.end - block.begin;
  zeroed_.resize(width);
  for (std::size_t i = 0; i < width; ++i) {
    const T value = row[block.begin + i];
    std::uint8_t& odd = odd_[block.begin + i];
    if (odd == 0 && !std::isfinite(value)) {
      odd = 1;
      block_odd_[j] = 1;
      odd_found_ = true;  // rows before this one have counted the column
    }
    if (std::isnan(value)) nan_[block.begin + i] = 1;
    zeroed_[i] = odd != 0 ? 0.0 : static_cast<double>(value);
  }
  // Finite values of a double may still overflow a norm; rows checked against it are then
  // multiplied again.
  const RowSums sums = row_sums(zeroed_.data(), &sketch_.x_[block.begin], width);
  y_[j * sketch_.geometry_.k + b_rows_] = sums.dot;
  sketch_.b_norm2_[j] += sums.norm2;
}

template <class T>
void SketchBuilder::calibrate_with(const T* row) {
  const std::size_t width = window_end_ - window_begin_;
  const T* b = row + window_begin_;
  for (std::size_t c = 0; c < width; ++c)
    window_norm2_ += static_cast<double>(b[c]) * static_cast<double>(b[c]);
  for (std::size_t i = 0; i < calibration_rows_.size(); ++i) {
    const double a = calibration_a_[i * sketch_.geometry_.k + b_rows_];
    if constexpr (std::is_same_v<T, float>) {
      const auto single = static_cast<float>(a);
      double* wide = wide_.data() + i * width;
      float* rounded = rounded32_.data() + i * width;
      for (std::size_t c = 0; c < width; ++c) {
        wide[c] += a * static_cast<double>(b[c]);
        rounded[c] += single * b[c];
      }
    } else {
      long double* exact = exact_.data() + i * width;
      double* rounded = rounded64_.data() + i * width;
      for (std::size_t c = 0; c < width; ++c) {
        exact[c] += static_cast<long double>(a) * static_cast<long double>(b[c]);
        rounded[c] += a * b[c];
      }
    }
  }
}

bool SketchBuilder::finish_b() {
  if (sketch_.blocks_.empty()) return true;
  check(b_rows_ == sketch_.geometry_.k, "all rows of B were fed");
  if (odd_found_) {
    restart_b();
    return false;
  }
  for (std::uint64_t column = 0; column < odd_.size(); ++column)
    if (odd_[column] != 0) {
      sketch_.b_odd_columns_.push_back(column);
      if (nan_[column] != 0) sketch_.b_nan_columns_.push_back(column);
    }
  set_alpha();
  if (!column_norm2_.empty()) set_column_norms();
  return true;
}

void SketchBuilder::set_column_norms() {
  for (const ColumnBlock& block : sketch_.blocks_) {
    double most = 0;
    for (std::uint64_t column = block.begin; column < block.end; ++column)
      if (odd_[column] == 0) most = std::max(most, column_norm2_[column]);
    sketch_.b_column_norm2_.push_back(most);
  }
  column_norm2_ = {};
}

// The rounding error of one calibration row, in the unit that tau is in.
double SketchBuilder::calibration_ratio(std::size_t row) const {
  const plan::MatmulGeometry& g = sketch_.geometry_;
  const std::size_t width = window_end_ - window_begin_;
  double error2 = 0;
  double c_norm2 = 0;
  for (std::size_t c = row * width; c < (row + 1) * width; ++c) {
    const bool single = !checked_in_fp64(g.precision);
    const double value = single ? wide_[c] : static_cast<double>(exact_[c]);
    const double error = single ? static_cast<double>(rounded32_[c]) - wide_[c]
                                : static_cast<double>(rounded64_[c] - exact_[c]);
    error2 += error * error;
    c_norm2 += value * value;
  }
  double a_norm2 = 0;
  for (std::size_t l = row * g.k; l < (row + 1) * g.k; ++l)
    a_norm2 += calibration_a_[l] * calibration_a_[l];
  const double scale = a_norm2 * window_norm2_ + static_cast<double>(g.k) * c_norm2;
  if (scale == 0) return 0;
  return std::sqrt(error2 / scale) / unit_roundoff(g.precision);
}

void SketchBuilder::set_alpha() {
  double worst = -1;
  for (std::size_t i = 0; i < calibration_rows_.size(); ++i)
    if (const double ratio = calibration_ratio(i); std::isfinite(ratio))
      worst = std::max(worst, ratio);
  sketch_.alpha_ = worst < 0 ? kAlphaUnknown : std::clamp(kSafety * worst, kAlphaMin, kAlphaMax);
}

template <class T>
void SketchBuilder::add_a_rows(std::span<const T> rows) {
  const plan::MatmulGeometry& g = sketch_.geometry_;
  // k = 0: rows have no elements, and all sums are zero already.
  if (sketch_.blocks_.empty() || g.k == 0) return;
  check(
      is_precision<T>(g.precision) && rows.size() % g.k == 0 && rows.size() / g.k <= g.m - a_rows_,
      "rows of A are whole, of the product's precision, and m in all");
  const std::size_t blocks = sketch_.blocks_.size();
  std::vector<double> sums(blocks);
  for (std::size_t at = 0; at < rows.size(); at += g.k, ++a_rows_) {
    sketch_.a_norm2_[a_rows_] =
        row_times_vectors(rows.data() + at, g.k, y_.data(), g.k, blocks, sums.data());
    for (std::size_t j = 0; j < blocks; ++j) sketch_.sums_[j * g.m + a_rows_] = sums[j];
  }
}

FreivaldsSketch SketchBuilder::finish() && {
  const plan::MatmulGeometry& g = sketch_.geometry_;
  check(sketch_.blocks_.empty() || g.k == 0 || a_rows_ == g.m, "all rows of A were fed");
  return std::move(sketch_);
}

template void SketchBuilder::set_calibration_row<float>(std::uint64_t, std::span<const float>);
template void SketchBuilder::set_calibration_row<double>(std::uint64_t, std::span<const double>);
template void SketchBuilder::add_b_rows<float>(std::span<const float>);
template void SketchBuilder::add_b_rows<double>(std::span<const double>);
template void SketchBuilder::add_a_rows<float>(std::span<const float>);
template void SketchBuilder::add_a_rows<double>(std::span<const double>);

}  // namespace overwinter::verify
