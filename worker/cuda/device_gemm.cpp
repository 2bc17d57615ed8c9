#include "worker/cuda/device_gemm.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/kernels/packed_weights.h"

namespace overwinter::worker::cuda {
namespace {

// Of int8's copies: sizes that all of cuBLASLt's kernels take.
constexpr std::size_t kGrid = 16;
// So many products of two bytes fit in 32 bits: 131,056 x 2^14 < 2^31. Of whole grids.
constexpr std::size_t kInt8Terms = 131'056;

std::size_t on_grid(std::size_t n) {
  return (n + kGrid - 1) / kGrid * kGrid;
}

std::size_t size_of(GemmType type) {
  switch (type) {
    case GemmType::kFp32:
      return sizeof(float);
    case GemmType::kFp64:
      return sizeof(double);
    case GemmType::kBf16:
    case GemmType::kFp16:
      return sizeof(std::uint16_t);
    case GemmType::kInt8:
      return sizeof(std::int8_t);
  }
  return 0;
}

class DeviceWeights final : public PackedWeights {
 public:
  DeviceWeights(const GemmBackend& owner, const GemmWeights& of, Buffer buffer)
      : PackedWeights(owner, of), transpose_(of.transpose), buffer_(std::move(buffer)) {}
  [[nodiscard]] std::size_t bytes() const override { return buffer_.size(); }
  [[nodiscard]] const void* data() const { return buffer_.data(); }
  [[nodiscard]] bool transpose() const { return transpose_; }

 private:
  const bool transpose_;
  Buffer buffer_;
};

}  // namespace

double tensor_gemm_error_factor(GemmType type, std::size_t k, bool tf32) {
  if (type == GemmType::kInt8 || type == GemmType::kFp64 || (type == GemmType::kFp32 && !tf32))
    return gemm_error_factor(type, k);
  const double terms = static_cast<double>(k);
  const double all = (terms * 17 / 16 + 19) * 0x1p-23;
  const double sums = all / (1 - all);
  if (!tf32 || type != GemmType::kFp32) return sums;
  const double factors = (1 + 0x1p-10) * (1 + 0x1p-10);
  return factors * (1 + sums) - 1;
}

Result<std::unique_ptr<PackedWeights>> DeviceGemm::pack(const GemmWeights& weights,
                                                        MemoryResource& memory) {
  const std::size_t rows = weights.transpose ? weights.n : weights.k;
  const std::size_t columns = weights.transpose ? weights.k : weights.n;
  if (weights.ldb < columns)
    return fail(Code::kInvalidArgument, "the stride of a matrix is shorter than its row");
  const std::size_t row_bytes = columns * size_of(weights.type);
  auto buffer = Buffer::make(memory, rows * row_bytes);
  if (!buffer) return fail(buffer.error());
  if (Status copied = device_.copy({buffer->data(), row_bytes, weights.b,
                                    weights.ldb * size_of(weights.type), row_bytes, rows});
      !copied.ok()) {
    return fail(copied);
  }
  return std::make_unique<DeviceWeights>(*this, weights, *std::move(buffer));
}

// Packed weights become a B.
template <class T>
Status DeviceGemm::unpack(Gemm<T>& p) const {
  if (p.packed == nullptr) return Status::success();
  if (Status good = check_packed(p, *this); !good.ok()) return good;
  const auto& weights = static_cast<const DeviceWeights&>(*p.packed);
  p.b = static_cast<const T*>(weights.data());
  p.transpose_b = weights.transpose();
  p.ldb = p.transpose_b ? p.k : p.n;
  p.packed = nullptr;
  return Status::success();
}

template <class T>
Status DeviceGemm::scale(const Gemm<T>& p) {
  using Sum = typename Gemm<T>::Sum;
  if (p.beta == Sum(1)) return Status::success();
  return steps_->scale(p.m * p.n, ScaleElement<Sum>{p.c, p.n, p.ldc, p.beta});
}

template <class T>
Status DeviceGemm::multiply(Gemm<T> p) {
  using Sum = typename Gemm<T>::Sum;
  if (Status good = check_strides(p); !good.ok()) return good;
  if (Status good = unpack(p); !good.ok()) return good;
  if (p.m == 0 || p.n == 0) return Status::success();
  if (p.k == 0 || p.alpha == Sum(0)) return scale(p);
  return steps_->multiply(column_product(p));
}

Status DeviceGemm::gemm(const Gemm<float>& problem) {
  return multiply(problem);
}

Status DeviceGemm::gemm(const Gemm<double>& problem) {
  return multiply(problem);
}

Status DeviceGemm::gemm(const Gemm<BFloat16>& problem) {
  return multiply(problem);
}

Status DeviceGemm::gemm(const Gemm<Float16>& problem) {
  return multiply(problem);
}

// In pieces of k whose sums fit, each exact; they are added modulo 2^32.
Status DeviceGemm::gemm(const Gemm<std::int8_t>& problem) {
  Gemm<std::int8_t> p = problem;
  if (Status good = check_strides(p); !good.ok()) return good;
  if (Status good = unpack(p); !good.ok()) return good;
  if (p.m == 0 || p.n == 0) return Status::success();
  if (p.k == 0 || p.alpha == 0) return scale(p);
  for (std::size_t begin = 0; begin < p.k; begin += kInt8Terms) {
    if (Status s = add_piece(p, begin, std::min(kInt8Terms, p.k - begin)); !s.ok()) return s;
    p.beta = 1;
  }
  return Status::success();
}

// Rows of A and columns of B, each k long and on the grid; their products; then alpha and beta.
Status DeviceGemm::add_piece(const Gemm<std::int8_t>& p, std::size_t begin, std::size_t size) {
  const std::size_t k = on_grid(size);
  const std::size_t n = on_grid(p.n);
  auto a = Buffer::make(memory_, p.m * k);
  auto b = Buffer::make(memory_, n * k);
  auto sums = Buffer::make(memory_, p.m * n * sizeof(std::int32_t));
  if (!a) return a.error();
  if (!b) return b.error();
  if (!sums) return sums.error();
  const PadBytes of_a{p.a + (p.transpose_a ? begin * p.lda : begin),
                      p.lda,
                      p.transpose_a,
                      p.m,
                      size,
                      a->as<std::int8_t>(),
                      k};
  if (Status s = steps_->pad(p.m * k, of_a); !s.ok()) return s;
  const PadBytes of_b{p.b + (p.transpose_b ? begin : begin * p.ldb),
                      p.ldb,
                      !p.transpose_b,
                      p.n,
                      size,
                      b->as<std::int8_t>(),
                      k};
  if (Status s = steps_->pad(n * k, of_b); !s.ok()) return s;
  const std::int32_t one = 1;
  const std::int32_t zero = 0;
  const ColumnProduct product{GemmType::kInt8, true, false,        n, p.m,  k,    b->data(), k,
                              a->data(),       k,    sums->data(), n, &one, &zero};
  if (Status s = steps_->multiply(product); !s.ok()) return s;
  return steps_->finish(p.m * p.n,
                        FinishInt32{sums->as<std::int32_t>(), n, p.c, p.n, p.ldc, p.alpha, p.beta});
}

}  // namespace overwinter::worker::cuda
