// Strassen's method in Winograd's form: how often a product is halved, what memory that takes, and
// how far the result may be off. One formula each for the planner, the kernel (worker/kernels,
// StrassenGemm) and the tests.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/plan/matmul_geometry.h"

namespace overwinter::plan {

inline constexpr std::uint32_t kStrassenLevelsMax = 3;

// While each side of a product is at least `side` it is worth halving. 0: never.
struct StrassenRule {
  std::uint64_t side = 0;
  std::uint32_t levels_max = kStrassenLevelsMax;
  friend bool operator==(const StrassenRule&, const StrassenRule&) = default;
};

// Times that a product m x k x n is halved: 0 (plain) to kStrassenLevelsMax.
[[nodiscard]] std::uint32_t strassen_levels(std::uint64_t m, std::uint64_t k, std::uint64_t n,
                                            const StrassenRule& rule);

// What a seat halves by: a whole tile of the geometry as often as it says, smaller ones less often.
[[nodiscard]] StrassenRule strassen_rule(const MatmulGeometry& geometry);

// Time of a product that is halved, of that when it is plain, its smallest side given: 7/8 a level,
// and the additions, which grow as the square of the side; `rule.side`, where halving begins to
// pay, says how dear they are.
[[nodiscard]] double strassen_time(std::uint64_t side, std::uint32_t levels,
                                   const StrassenRule& rule);

// Elements from one row of a temporary matrix to the next: an odd number of cache lines, so that
// rows do not fall onto the same places of a cache.
[[nodiscard]] std::uint64_t strassen_stride(std::uint64_t columns, std::uint64_t element_bytes);
// Elements of a temporary rows x columns, which may also be kept as columns x rows.
[[nodiscard]] std::uint64_t strassen_temporary(std::uint64_t rows, std::uint64_t columns,
                                               std::uint64_t element_bytes);

// All temporaries of one product at its peak; the workspace of the plain products below is theirs.
// adds: C is added to (beta is not 0), which takes one more. Saturates.
[[nodiscard]] std::uint64_t strassen_workspace_bytes(std::uint64_t m, std::uint64_t k,
                                                     std::uint64_t n, std::uint32_t levels,
                                                     std::uint64_t element_bytes, bool adds);

// To first order in the unit roundoff u (2^-24 in fp32, 2^-53 in fp64),
//
//   max |C' - C| <= u (product |alpha| max|A| max|B| + before |beta| max|C before|)
//
// with maxima over all elements: unlike a plain product's, an element's error is not bounded by its
// own row and column. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, §23.2.2:
// the errors of the seven products come back with a factor of 18 each time a product is halved
// (Winograd's form; 12 for Strassen's), beside those of the additions. His bound,
// 18^L (k0^2 + 6 k0) - 6 k with k0 = k / 2^L, is for products that are summed by themselves and
// added then; here some go straight into sums of others, whose rounding the terms with F below
// count: a product of inner length k0 that is added to C costs as gemm_error_factor
// (worker/kernels, gemm.h) says, (k0 + 2) (k0 |A| |B| + |C|). So, with h the inner length of the
// halves,
//
//   E_0 = k0 (k0 + 2), F_0 = k0 + 2;  E = 18 E' + 17 F' h + 60 h, F = F' + 3;
//
// and what is peeled off k, r terms, adds (r + 2) (k + |C|).
struct StrassenBound {
  double product = 0;
  double before = 0;
};
[[nodiscard]] StrassenBound strassen_bound(std::uint64_t k, std::uint32_t levels);

// How far an element of C may be off at worst, as a share of k max|A| max|B|: panels of k are added
// one after the other. Of a plain product too; to first order bf16 and fp16 add what rounding both
// factors adds, 2^-8 and 2^-10, and int8 is exact: 0.
[[nodiscard]] double error_bound(const MatmulGeometry& geometry);

}  // namespace overwinter::plan
