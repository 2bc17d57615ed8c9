#include "worker/kernels/reference_gemm.h"

#include <type_traits>

#include "worker/kernels/packed_weights.h"

namespace overwinter::worker {
namespace {

double wide(float x) {
  return static_cast<double>(x);
}
double wide(double x) {
  return x;
}
double wide(BFloat16 x) {
  return static_cast<double>(to_float(x));
}
double wide(Float16 x) {
  return static_cast<double>(to_float(x));
}
std::int64_t wide(std::int8_t x) {
  return x;
}

template <class T>
Status multiply_slowly(Gemm<T> p, const GemmBackend& self) {
  using Sum = typename Gemm<T>::Sum;
  using Wide = decltype(wide(T()));
  if (Status good = use_plain_weights(p, self); !good.ok()) return good;
  if (Status fit = check_strides(p); !fit.ok()) return fit;
  for (std::size_t i = 0; i < p.m; ++i) {
    for (std::size_t j = 0; j < p.n; ++j) {
      Wide sum = 0;
      for (std::size_t l = 0; l < p.k && p.alpha != Sum(0); ++l) {
        const T a = p.transpose_a ? p.a[l * p.lda + i] : p.a[i * p.lda + l];
        const T b = p.transpose_b ? p.b[j * p.ldb + l] : p.b[l * p.ldb + j];
        sum += wide(a) * wide(b);
      }
      Sum& c = p.c[i * p.ldc + j];
      if constexpr (std::is_same_v<Sum, std::int32_t>) {
        // |sum| < 2^14 k, so alpha times its lower 32 bits is what counts, in unsigned: modulo.
        const auto low = [](std::int64_t x) { return static_cast<std::uint32_t>(x); };
        c = static_cast<std::int32_t>(low(p.alpha) * low(sum) + low(p.beta) * low(c));
      } else {
        const Wide before = p.beta == Sum(0) ? Wide(0) : wide(p.beta) * wide(c);
        c = static_cast<Sum>(wide(p.alpha) * sum + before);
      }
    }
  }
  return Status::success();
}

}  // namespace

Status ReferenceGemm::gemm(const Gemm<float>& problem) {
  return multiply_slowly(problem, *this);
}

Status ReferenceGemm::gemm(const Gemm<double>& problem) {
  return multiply_slowly(problem, *this);
}

Status ReferenceGemm::gemm(const Gemm<BFloat16>& problem) {
  return multiply_slowly(problem, *this);
}

Status ReferenceGemm::gemm(const Gemm<Float16>& problem) {
  return multiply_slowly(problem, *this);
}

Status ReferenceGemm::gemm(const Gemm<std::int8_t>& problem) {
  return multiply_slowly(problem, *this);
}

}  // namespace overwinter::worker
