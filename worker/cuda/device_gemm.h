// GemmBackend on an accelerator: what a library of column-major products (cuBLASLt) does not do
// itself. Sizes of 0, alpha of 0, packed weights, and int8, of which cuBLASLt multiplies one layout
// alone and promises nothing of sums beyond 32 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "worker/cuda/accelerator.h"
#include "worker/cuda/element_ops.h"
#include "worker/kernels/gemm.h"

namespace overwinter::worker::cuda {

// C = alpha op(A) op(B) + beta C, column-major: element (i, j) of X lies at x[i + j * ldx]. C is
// m x n, none of m, n, k is 0. A row-major product is this with A and B exchanged, each being its
// own transpose read the other way.
struct ColumnProduct {
  GemmType type = GemmType::kFp32;
  bool transpose_a = false;
  bool transpose_b = false;
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  const void* a = nullptr;
  std::size_t lda = 0;
  const void* b = nullptr;
  std::size_t ldb = 0;
  void* c = nullptr;
  std::size_t ldc = 0;
  // Of the type that sums are in; the host's, read during the call.
  const void* alpha = nullptr;
  const void* beta = nullptr;
};

// What a device has to do for products. Asked for as all work of an accelerator is.
class GemmSteps {
 public:
  virtual ~GemmSteps() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  // int8: transpose_a and not transpose_b, lda, ldb, ldc, m and k are multiples of 16, pointers are
  // aligned to 16 bytes, alpha is 1, beta 0, and sums stay within 32 bits.
  virtual Status multiply(const ColumnProduct& product) = 0;
  virtual Status scale(std::size_t n, const ScaleElement<float>& op) = 0;
  virtual Status scale(std::size_t n, const ScaleElement<double>& op) = 0;
  virtual Status scale(std::size_t n, const ScaleElement<std::int32_t>& op) = 0;
  virtual Status finish(std::size_t n, const FinishInt32& op) = 0;
  virtual Status pad(std::size_t n, const PadBytes& op) = 0;
};

// All pointers are the device's. `memory`: where int8 keeps its copies; a pool, since each product
// asks for some. Both outlive it.
class DeviceGemm final : public GemmBackend {
 public:
  DeviceGemm(Accelerator& device, MemoryResource& memory, std::unique_ptr<GemmSteps> steps)
      : device_(device), memory_(memory), steps_(std::move(steps)) {}

  [[nodiscard]] std::string_view name() const override { return steps_->name(); }
  [[nodiscard]] bool supports(GemmType /*type*/) const override { return true; }
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;
  Status gemm(const Gemm<BFloat16>& problem) override;
  Status gemm(const Gemm<Float16>& problem) override;
  Status gemm(const Gemm<std::int8_t>& problem) override;
  // A copy on the device, its rows as they were.
  [[nodiscard]] Result<std::unique_ptr<PackedWeights>> pack(const GemmWeights& weights,
                                                            MemoryResource& memory) override;

 private:
  template <class T>
  Status unpack(Gemm<T>& p) const;
  template <class T>
  Status multiply(Gemm<T> p);
  template <class T>
  Status scale(const Gemm<T>& p);
  Status add_piece(const Gemm<std::int8_t>& p, std::size_t begin, std::size_t size);

  Accelerator& device_;
  MemoryResource& memory_;
  std::unique_ptr<GemmSteps> steps_;
};

// The row-major product as a column-major one. Points at p.alpha and p.beta.
template <class T>
[[nodiscard]] ColumnProduct column_product(const Gemm<T>& p) {
  return {GemmTraits<T>::kType,
          p.transpose_b,
          p.transpose_a,
          p.n,
          p.m,
          p.k,
          p.b,
          p.ldb,
          p.a,
          p.lda,
          p.c,
          p.ldc,
          &p.alpha,
          &p.beta};
}

// gemm_error_factor where tensor cores add: they cut sums of up to 16 products and what is there
// off at 2^-23 of the largest of them instead of rounding each (Fasi, Higham, Mikaitis and Pranesh
// 2021, "Numerical behavior of NVIDIA tensor cores"), which is 17 such errors every 16 terms and as
// many for what is left over, beside alpha and beta. With `tf32`, fp32 factors are each cut to
// 2^-10 before. fp64 and int8: as gemm_error_factor.
[[nodiscard]] double tensor_gemm_error_factor(GemmType type, std::size_t k, bool tf32);

}  // namespace overwinter::worker::cuda
