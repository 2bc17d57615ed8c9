#include "worker/kernels/reference_gemm.h"

namespace overwinter::worker {
namespace {

template <class T>
Status multiply(const Gemm<T>& p) {
  if (Status fit = check_strides(p); !fit.ok()) return fit;
  for (std::size_t i = 0; i < p.m; ++i) {
    for (std::size_t j = 0; j < p.n; ++j) {
      double sum = 0;
      for (std::size_t l = 0; l < p.k; ++l) {
        const T a = p.transpose_a ? p.a[l * p.lda + i] : p.a[i * p.lda + l];
        const T b = p.transpose_b ? p.b[j * p.ldb + l] : p.b[l * p.ldb + j];
        sum += static_cast<double>(a) * static_cast<double>(b);
      }
      T& c = p.c[i * p.ldc + j];
      const double before =
          p.beta == T(0) ? 0.0 : static_cast<double>(p.beta) * static_cast<double>(c);
      c = static_cast<T>(static_cast<double>(p.alpha) * sum + before);
    }
  }
  return Status::success();
}

}  // namespace

Status ReferenceGemm::gemm(const Gemm<float>& problem) {
  return multiply(problem);
}

Status ReferenceGemm::gemm(const Gemm<double>& problem) {
  return multiply(problem);
}

}  // namespace overwinter::worker
