// GemmBackend: C = alpha op(A) op(B) + beta C on one device.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::worker {

// Row-major: element (i, j) of X lies at x[i * ldx + j]. A is m x k (k x m when transpose_a), B is
// k x n (n x k when transpose_b), C is m x n. A column-major matrix is a transposed row-major one.
template <class T>
struct Gemm {
  bool transpose_a = false;
  bool transpose_b = false;
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  T alpha = T(1);
  const T* a = nullptr;
  std::size_t lda = 0;
  const T* b = nullptr;
  std::size_t ldb = 0;
  T beta = T(0);  // 0: C is written without being read
  T* c = nullptr;
  std::size_t ldc = 0;
};

// One caller at a time; a device owns its backend. Errors: INVALID_ARGUMENT when a stride is
// shorter than its row, OUT_OF_RANGE when a size does not fit the library's integers. Sizes of 0
// are good: k = 0 scales C.
class GemmBackend {
 public:
  virtual ~GemmBackend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual Status gemm(const Gemm<float>& problem) = 0;
  virtual Status gemm(const Gemm<double>& problem) = 0;
};

// INVALID_ARGUMENT for strides that are too short.
template <class T>
Status check_strides(const Gemm<T>& p);

}  // namespace overwinter::worker
