// A product that a test multiplies itself, in the manner of a BLAS library, and its sketch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <type_traits>
#include <vector>

#include "common/verify/freivalds.h"
#include "common/verify/tile_check.h"

namespace overwinter::verify {

template <class T>
struct Product {
  plan::MatmulGeometry geometry;
  std::vector<T> a;
  std::vector<T> b;
  std::vector<T> c;

  Product(std::uint64_t m, std::uint64_t k, std::uint64_t n, std::uint64_t tile_rows,
          std::uint64_t tile_columns)
      : a(m * k), b(k * n), c(m * n) {
    geometry = {
        .m = m,
        .k = k,
        .n = n,
        .precision = std::is_same_v<T, float> ? plan::Precision::kFp32 : plan::Precision::kFp64,
        .tile_rows = tile_rows,
        .tile_columns = tile_columns,
        .panel_depth = std::max<std::uint64_t>(k, 1)};
  }

  // Blocks of depth `depth`, each summed in four interleaved parts, as vector kernels do.
  void multiply(std::uint64_t depth = 96) {
    const auto [m, k, n] = std::tuple(geometry.m, geometry.k, geometry.n);
    std::vector<T> part(n);
    std::fill(c.begin(), c.end(), T(0));
    for (std::uint64_t i = 0; i < m; ++i)
      for (std::uint64_t from = 0; from < k; from += depth)
        for (std::uint64_t lane = 0; lane < 4; ++lane) {
          std::fill(part.begin(), part.end(), T(0));
          for (std::uint64_t l = from + lane; l < std::min(k, from + depth); l += 4)
            for (std::uint64_t j = 0; j < n; ++j) part[j] += a[i * k + l] * b[l * n + j];
          for (std::uint64_t j = 0; j < n; ++j) c[i * n + j] += part[j];
        }
  }

  // Feeds the builder in blocks of `rows_at_once` rows.
  [[nodiscard]] FreivaldsSketch sketch(std::uint64_t seed, std::uint64_t rows_at_once = 7) const {
    const auto [m, k, n] = std::tuple(geometry.m, geometry.k, geometry.n);
    SketchBuilder builder(geometry, {seed, seed ^ 0x1234567, seed * 77 + 5, 99});
    for (std::uint64_t row : builder.calibration_rows())
      builder.set_calibration_row<T>(row, std::span(a).subspan(row * k, k));
    do {
      for (std::uint64_t row = 0; row < k; row += rows_at_once)
        builder.add_b_rows<T>(std::span(b).subspan(row * n, std::min(rows_at_once, k - row) * n));
    } while (!builder.finish_b());
    for (std::uint64_t row = 0; row < m; row += rows_at_once)
      builder.add_a_rows<T>(std::span(a).subspan(row * k, std::min(rows_at_once, m - row) * k));
    return std::move(builder).finish();
  }

  [[nodiscard]] FactorSource<T> source() const {
    const auto reader = [](const std::vector<T>& from, std::uint64_t width) {
      return [&from, width](std::uint64_t row_begin, std::uint64_t row_end, std::uint64_t begin,
                            std::uint64_t end, std::span<T> out) {
        for (std::uint64_t r = row_begin; r < row_end; ++r)
          std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(r * width + begin), end - begin,
                      out.begin() + static_cast<std::ptrdiff_t>((r - row_begin) * (end - begin)));
        return Status::success();
      };
    };
    return {reader(a, geometry.k), reader(b, geometry.n)};
  }

  [[nodiscard]] std::vector<T> tile(const plan::Tile& t) const {
    std::vector<T> out;
    for (std::uint64_t i = t.row_begin; i < t.row_end; ++i)
      out.insert(out.end(),
                 c.begin() + static_cast<std::ptrdiff_t>(i * geometry.n + t.column_begin),
                 c.begin() + static_cast<std::ptrdiff_t>(i * geometry.n + t.column_end));
    return out;
  }

  // C once more, in a wider type: what rounding errors are measured against.
  [[nodiscard]] std::vector<long double> exact() const {
    std::vector<long double> out(c.size(), 0);
    for (std::uint64_t i = 0; i < geometry.m; ++i)
      for (std::uint64_t l = 0; l < geometry.k; ++l) {
        const auto factor = static_cast<long double>(a[i * geometry.k + l]);
        for (std::uint64_t j = 0; j < geometry.n; ++j)
          out[i * geometry.n + j] += factor * static_cast<long double>(b[l * geometry.n + j]);
      }
    return out;
  }
};

enum class Values { kNoise, kPositive, kScaled, kIntegers };

template <class T>
void fill(std::vector<T>& out, Values values, std::uint64_t width, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  for (std::size_t i = 0; i < out.size(); ++i) {
    double v = normal(random);
    if (values == Values::kPositive) v = std::abs(v) + 1;
    if (values == Values::kIntegers) v = std::round(3 * v);
    // Each row of another size, every second one positive.
    if (values == Values::kScaled) {
      const std::size_t row = i / std::max<std::uint64_t>(width, 1);
      v = std::ldexp(row % 2 == 0 ? v : std::abs(v), static_cast<int>(row % 40) - 20);
    }
    out[i] = static_cast<T>(v);
  }
}

}  // namespace overwinter::verify
