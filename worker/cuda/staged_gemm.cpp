#include "worker/cuda/staged_gemm.h"

#include <algorithm>

#include "worker/kernels/packed_weights.h"

namespace overwinter::worker::cuda {
namespace {

// Rows on the device begin on so many elements, which every kernel takes.
constexpr std::size_t kStride = 16;

std::size_t stride_of(std::size_t columns) {
  return (columns + kStride - 1) / kStride * kStride;
}

// A block of a matrix of the host on the device. Rows and columns are those that lie in memory.
template <class T>
struct Staged {
  Buffer buffer;
  std::size_t stride = 0;

  static Result<Staged> make(MemoryResource& memory, std::size_t rows, std::size_t columns) {
    const std::size_t stride = stride_of(columns);
    auto buffer = Buffer::make(memory, rows * stride * sizeof(T));
    if (!buffer) return fail(buffer.error());
    return Staged{*std::move(buffer), stride};
  }
  RowCopy from_host(const T* from, std::size_t from_stride, std::size_t rows, std::size_t columns) {
    return {buffer.data(),           stride * sizeof(T),  from,
            from_stride * sizeof(T), columns * sizeof(T), rows};
  }
  RowCopy to_host(T* to, std::size_t to_stride, std::size_t rows, std::size_t columns) {
    return {to,  to_stride * sizeof(T), buffer.data(), stride * sizeof(T), columns * sizeof(T),
            rows};
  }
};

}  // namespace

StagedBlocks staged_blocks(std::size_t m, std::size_t n, std::size_t k, std::size_t factor_bytes,
                           std::size_t sum_bytes, std::size_t bytes) {
  StagedBlocks b{m, n, k};
  // Either way round, since a factor may lie transposed.
  const auto needed = [&] {
    return (stride_of(b.m) * stride_of(b.k) + stride_of(b.k) * stride_of(b.n)) * factor_bytes +
           b.m * stride_of(b.n) * sum_bytes;
  };
  while (needed() > bytes) {
    std::size_t& longest = b.m >= b.n && b.m >= b.k ? b.m : (b.n >= b.k ? b.n : b.k);
    if (longest <= kStride) break;
    longest = stride_of((longest + 1) / 2);
  }
  return b;
}

StagedGemm::StagedGemm(Accelerator& device, GemmBackend& inner, MemoryResource& memory,
                       std::size_t bytes)
    : device_(device),
      inner_(inner),
      memory_(memory),
      bytes_(bytes),
      name_(std::string(inner.name()) + " by copies") {}

template <class T>
Status StagedGemm::block(const Gemm<T>& p, const StagedBlocks& size, std::size_t i, std::size_t j) {
  using Sum = typename Gemm<T>::Sum;
  Gemm<T> part = p;
  part.m = std::min(size.m, p.m - i);
  part.n = std::min(size.n, p.n - j);
  auto c = Staged<Sum>::make(memory_, part.m, part.n);
  auto a = p.transpose_a ? Staged<T>::make(memory_, size.k, part.m)
                         : Staged<T>::make(memory_, part.m, size.k);
  auto b = p.transpose_b ? Staged<T>::make(memory_, part.n, size.k)
                         : Staged<T>::make(memory_, size.k, part.n);
  if (!c) return c.error();
  if (!a) return a.error();
  if (!b) return b.error();
  Sum* const to = p.c + i * p.ldc + j;
  if (p.beta != Sum(0)) {
    if (Status s = device_.upload(c->from_host(to, p.ldc, part.m, part.n)); !s.ok()) return s;
  }
  for (std::size_t l = 0; l < p.k; l += size.k) {
    part.k = std::min(size.k, p.k - l);
    const RowCopy of_a = p.transpose_a ? a->from_host(p.a + l * p.lda + i, p.lda, part.k, part.m)
                                       : a->from_host(p.a + i * p.lda + l, p.lda, part.m, part.k);
    const RowCopy of_b = p.transpose_b ? b->from_host(p.b + j * p.ldb + l, p.ldb, part.n, part.k)
                                       : b->from_host(p.b + l * p.ldb + j, p.ldb, part.k, part.n);
    if (Status s = device_.upload(of_a); !s.ok()) return s;
    if (Status s = device_.upload(of_b); !s.ok()) return s;
    part.a = a->buffer.template as<T>();
    part.lda = a->stride;
    part.b = b->buffer.template as<T>();
    part.ldb = b->stride;
    part.c = c->buffer.template as<Sum>();
    part.ldc = c->stride;
    if (Status s = inner_.gemm(part); !s.ok()) return s;
    part.beta = Sum(1);
  }
  return device_.download(c->to_host(to, p.ldc, part.m, part.n));
}

template <class T>
Status StagedGemm::multiply(Gemm<T> p) {
  using Sum = typename Gemm<T>::Sum;
  if (Status good = check_strides(p); !good.ok()) return good;
  if (Status good = use_plain_weights(p, *this); !good.ok()) return good;
  if (p.k == 0 || p.alpha == Sum(0)) {
    scale_c(p);
    return Status::success();
  }
  const StagedBlocks size = staged_blocks(p.m, p.n, p.k, sizeof(T), sizeof(Sum), bytes_);
  for (std::size_t i = 0; i < p.m; i += size.m) {
    for (std::size_t j = 0; j < p.n; j += size.n) {
      if (Status s = block(p, size, i, j); !s.ok()) return s;
    }
  }
  return Status::success();
}

Status StagedGemm::gemm(const Gemm<float>& problem) {
  return multiply(problem);
}

Status StagedGemm::gemm(const Gemm<double>& problem) {
  return multiply(problem);
}

Status StagedGemm::gemm(const Gemm<BFloat16>& problem) {
  return multiply(problem);
}

Status StagedGemm::gemm(const Gemm<Float16>& problem) {
  return multiply(problem);
}

Status StagedGemm::gemm(const Gemm<std::int8_t>& problem) {
  return multiply(problem);
}

}  // namespace overwinter::worker::cuda
