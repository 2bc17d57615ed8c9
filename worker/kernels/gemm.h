// GemmBackend: C = alpha op(A) op(B) + beta C on one device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/narrow.h"
#include "common/base/result.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// What A and B are made of. C, alpha and beta are of the type that sums are in: the same for fp32
// and fp64, fp32 for bf16 and fp16, int32 for int8.
enum class GemmType : std::uint8_t { kFp32, kFp64, kBf16, kFp16, kInt8 };
inline constexpr std::size_t kGemmTypes = 5;

// "fp32", "fp64", "bf16", "fp16", "int8".
[[nodiscard]] std::string_view gemm_type_name(GemmType type);

template <class T>
struct GemmTraits;
template <>
struct GemmTraits<float> {
  using Sum = float;
  static constexpr GemmType kType = GemmType::kFp32;
};
template <>
struct GemmTraits<double> {
  using Sum = double;
  static constexpr GemmType kType = GemmType::kFp64;
};
template <>
struct GemmTraits<BFloat16> {
  using Sum = float;
  static constexpr GemmType kType = GemmType::kBf16;
};
template <>
struct GemmTraits<Float16> {
  using Sum = float;
  static constexpr GemmType kType = GemmType::kFp16;
};
template <>
struct GemmTraits<std::int8_t> {
  using Sum = std::int32_t;
  static constexpr GemmType kType = GemmType::kInt8;
};

class PackedWeights;
struct GemmWeights;

// Row-major: element (i, j) of X lies at x[i * ldx + j]. A is m x k (k x m when transpose_a), B is
// k x n (n x k when transpose_b), C is m x n. A column-major matrix is a transposed row-major one.
template <class T>
struct Gemm {
  using Sum = typename GemmTraits<T>::Sum;
  bool transpose_a = false;
  bool transpose_b = false;
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  Sum alpha = Sum(1);  // 0: A and B are not read
  const T* a = nullptr;
  std::size_t lda = 0;
  const T* b = nullptr;
  std::size_t ldb = 0;
  const PackedWeights* packed =
      nullptr;        // B as pack() has kept it: transpose_b, b, ldb are not read
  Sum beta = Sum(0);  // 0: C is written without being read
  Sum* c = nullptr;
  std::size_t ldc = 0;
};

// How far a result may be from the true one, whatever the order of summation:
//
//   |C' - C| <= gemm_error_factor(type, k) (|alpha| |A| |B| + |beta| |C before|), element by
//   element
//
// with |A| |B| the product of the absolute values. It is gamma_n = n u / (1 - n u) with n = k + 2,
// for the k products and sums and for alpha and beta (Higham, Accuracy and Stability of Numerical
// Algorithms, 2nd edition, §3.1 and §3.5), u = 2^-24 where sums are in fp32 and 2^-53 in fp64.
// Products of two bf16 or fp16 numbers are exact in fp32, so these types have fp32's factor: what
// rounding the factors to them has cost is common/base/narrow.h's. int8 is exact, modulo 2^32: 0.
// It holds while no sum leaves the range of normal numbers; a processor that multiplies bf16
// itself (AVX512-BF16) takes subnormal factors for 0.
[[nodiscard]] double gemm_error_factor(GemmType type, std::size_t k);

// One caller at a time; a device owns its backend. Errors: INVALID_ARGUMENT when a stride is
// shorter than its row, OUT_OF_RANGE when a size does not fit the library's integers, UNIMPLEMENTED
// for a type that it does not have (supports), RESOURCE_EXHAUSTED without memory for its workspace.
// Sizes of 0 are good: k = 0 scales C. A NaN or infinity goes where IEEE 754 takes it; a zero does
// not skip it.
class GemmBackend {
 public:
  virtual ~GemmBackend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual bool supports(GemmType type) const;  // fp32 and fp64, unless overridden
  // Multiplies the type in fp32, at fp32's speed, for want of instructions: no, unless overridden.
  [[nodiscard]] virtual bool widens(GemmType /*type*/) const { return false; }
  virtual Status gemm(const Gemm<float>& problem) = 0;
  virtual Status gemm(const Gemm<double>& problem) = 0;
  virtual Status gemm(const Gemm<BFloat16>& problem);
  virtual Status gemm(const Gemm<Float16>& problem);
  virtual Status gemm(const Gemm<std::int8_t>& problem);
  // Keeps a B that many products share in the form that is fastest here, in `memory`, which
  // outlives it, as does this backend. RESOURCE_EXHAUSTED when there is no room. Unless overridden:
  // a plain copy.
  [[nodiscard]] virtual Result<std::unique_ptr<PackedWeights>> pack(const GemmWeights& weights,
                                                                    MemoryResource& memory);

 protected:
  [[nodiscard]] Status has_no(GemmType type) const;
};

// INVALID_ARGUMENT for strides that are too short.
template <class T>
Status check_strides(const Gemm<T>& p);

// C = beta C: what is left of a product without a term.
template <class T>
void scale_c(const Gemm<T>& p);

}  // namespace overwinter::worker
