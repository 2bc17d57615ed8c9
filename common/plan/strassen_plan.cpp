#include "common/plan/strassen_plan.h"

#include <algorithm>
#include <cmath>

namespace overwinter::plan {
namespace {

constexpr std::uint64_t kLineBytes = 64;
// Of the time of a plain product, where halving takes 0.98 of it (worker/kernels,
// measure_strassen.h).
constexpr double kAdditionsAtCrossOver = 0.98 - 0.875;

}  // namespace

std::uint32_t strassen_levels(std::uint64_t m, std::uint64_t k, std::uint64_t n,
                              const StrassenRule& rule) {
  if (rule.side == 0) return 0;
  const std::uint64_t least = std::max<std::uint64_t>(rule.side, 2);
  const std::uint32_t most = std::min(rule.levels_max, kStrassenLevelsMax);
  std::uint32_t levels = 0;
  for (std::uint64_t side = std::min({m, k, n}); levels < most && side >= least; side /= 2) {
    ++levels;
  }
  return levels;
}

StrassenRule strassen_rule(const MatmulGeometry& g) {
  if (g.strassen_levels == 0) return {};
  const std::uint64_t side = std::min({g.rows(), g.depth(), g.columns()});
  return {.side = side >> (g.strassen_levels - 1), .levels_max = g.strassen_levels};
}

double strassen_time(std::uint64_t side, std::uint32_t levels, const StrassenRule& rule) {
  double time = 1;
  for (std::uint32_t level = 0; level < levels; ++level, side /= 2) {
    const double additions =
        kAdditionsAtCrossOver * static_cast<double>(rule.side) / static_cast<double>(side);
    time *= 0.875 + std::min(additions, kAdditionsAtCrossOver);
  }
  return time;
}

std::uint64_t strassen_stride(std::uint64_t columns, std::uint64_t element_bytes) {
  const std::uint64_t line = kLineBytes / element_bytes;
  return (((columns + line - 1) / line) | 1U) * line;
}

std::uint64_t strassen_temporary(std::uint64_t rows, std::uint64_t columns,
                                 std::uint64_t element_bytes) {
  return std::max(saturating_product(rows, strassen_stride(columns, element_bytes)),
                  saturating_product(columns, strassen_stride(rows, element_bytes)));
}

std::uint64_t strassen_workspace_bytes(std::uint64_t m, std::uint64_t k, std::uint64_t n,
                                       std::uint32_t levels, std::uint64_t element_bytes,
                                       bool adds) {
  m >>= levels;
  k >>= levels;
  n >>= levels;
  std::uint64_t elements = 0;
  for (std::uint32_t level = levels; level-- > 0;) {
    const auto temporary = [&](std::uint64_t rows, std::uint64_t columns) {
      return strassen_temporary(rows << level, columns << level, element_bytes);
    };
    // S1, S2, S3; T1, T2, T3; X, and below the first level or where C is added to Z.
    elements = saturating_sum(elements, saturating_product(3, temporary(m, k)));
    elements = saturating_sum(elements, saturating_product(3, temporary(k, n)));
    elements = saturating_sum(
        elements, saturating_product(level + 1 < levels || adds ? 2 : 1, temporary(m, n)));
  }
  return saturating_product(elements, element_bytes);
}

StrassenBound strassen_bound(std::uint64_t k, std::uint32_t levels) {
  double half = static_cast<double>(k >> levels);
  double product = half * (half + 2);
  double before = half + 2;
  for (std::uint32_t level = 0; level < levels; ++level) {
    product = 18 * product + 17 * before * half + 60 * half;
    before += 3;
    half *= 2;
  }
  const auto all = static_cast<double>(k);
  if (half < all) {
    product += (all - half + 2) * all;
    before += all - half + 2;
  }
  // Rows and columns that are peeled off are plain products.
  return {std::max(product, all * (all + 2)), std::max(before, all + 2)};
}

double error_bound(const MatmulGeometry& g) {
  if (g.k == 0 || g.precision == Precision::kInt8) return 0;
  const double unit = g.precision == Precision::kFp64 ? 0x1p-53 : 0x1p-24;
  const double rounding = g.precision == Precision::kBf16   ? 0x1p-8
                          : g.precision == Precision::kFp16 ? 0x1p-10
                                                            : 0;
  const auto k = static_cast<double>(g.k);
  const StrassenBound bound = strassen_bound(g.depth(), g.strassen_levels);
  const double panels = std::ceil(k / static_cast<double>(g.depth()));
  const double before = panels > 1 ? bound.before * k : 0;
  return rounding + unit * panels * (bound.product + before) / k;
}

}  // namespace overwinter::plan
