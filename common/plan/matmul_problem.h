// The two factors of a product: do they multiply, and in which precision.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/plan/matmul_geometry.h"

namespace overwinter::plan {

// One factor, from its .npy header or as it was told (v1::MatrixShape).
struct Factor {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::string dtype{};  // as .npy writes it, with or without byte order: f4, <f8
  bool fortran_order = false;
  std::string digest{};  // SHA-256 in hexadecimal; empty when only planning
};

struct MatmulProblem {
  std::uint64_t m = 0;
  std::uint64_t k = 0;
  std::uint64_t n = 0;
  Precision precision = Precision::kFp32;
  bool a_fortran_order = false;
  bool b_fortran_order = false;
  std::string a_digest;
  std::string b_digest;
};

// precision: of the specification; empty: the factors' own. fp32 factors may be multiplied in bf16
// and fp16 too. INVALID_ARGUMENT with the field (workload.matmul.a, .b, .precision) when the inner
// sizes differ, the kinds are mixed or not fp32, fp64 or int8, the stated precision does not fit
// them, or a size (int8: a sum) overflows.
[[nodiscard]] Result<MatmulProblem> matmul_problem(const Factor& a, const Factor& b,
                                                   std::string_view precision);

}  // namespace overwinter::plan
