// What one thread of OneDnnGemm holds: products that were made ready, scratch memory. Of
// onednn_gemm.cpp alone.
#pragma once

#include <compare>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>

#include "worker/kernels/gemm.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

template <class T>
inline constexpr auto kDnnlType = dnnl::memory::data_type::undef;
template <>
inline constexpr auto kDnnlType<float> = dnnl::memory::data_type::f32;
template <>
inline constexpr auto kDnnlType<BFloat16> = dnnl::memory::data_type::bf16;
template <>
inline constexpr auto kDnnlType<Float16> = dnnl::memory::data_type::f16;
template <>
inline constexpr auto kDnnlType<std::int8_t> = dnnl::memory::data_type::s8;
template <>
inline constexpr auto kDnnlType<std::int32_t> = dnnl::memory::data_type::s32;

// Row-major with a stride; transposed: the other way round.
[[nodiscard]] dnnl::memory::desc matrix_desc(dnnl::memory::data_type type, std::size_t rows,
                                             std::size_t columns, std::size_t stride,
                                             bool transposed);

// Keeps its thread's OpenMP at one thread. Called on each thread before oneDNN is.
void keep_openmp_to_this_thread();

class OneDnnThread {
 public:
  OneDnnThread(const dnnl::engine& engine, MemoryResource& memory)
      : engine_(engine), stream_(engine), memory_(&memory) {}

  // The part of a product that is this thread's, p.m, p.n, p.k > 0, alpha != 0. `weights` and `b`:
  // packed, or null and p.b is read. Throws dnnl::error.
  template <class T>
  Status multiply(const Gemm<T>& p, const dnnl::memory::desc* weights, const void* b);

 private:
  struct Key {
    GemmType type{};
    bool transpose_a = false;
    bool transpose_b = false;
    bool packed = false;
    bool add = false;
    std::size_t m = 0, n = 0, k = 0, lda = 0, ldb = 0, ldc = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Ready {
    dnnl::memory::desc a, b, c, scratch;
    dnnl::matmul product;
  };

  // C = op(A) op(B), or C + that.
  template <class T>
  Status plain(const Gemm<T>& p, const dnnl::memory::desc* weights, const void* b, bool add);
  template <class T>
  Result<const Ready*> ready(const Gemm<T>& p, const dnnl::memory::desc* weights, bool add);
  Status need(Buffer& buffer, std::size_t bytes);

  dnnl::engine engine_;
  dnnl::stream stream_;
  MemoryResource* memory_;
  std::map<Key, Ready> ready_;
  Buffer scratch_;
  Buffer workspace_;
};

}  // namespace overwinter::worker
