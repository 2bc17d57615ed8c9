// The three products of a linear layer, for rows or columns of it, in the numbers that are kept
// (fp32, or bf16 and fp16 with sums in fp32). Internal to this room.
#pragma once

#include "worker/kernels/gemm.h"

namespace overwinter::worker {

// c (m x n) = a (m x k) b (k x n); strides are the rows' whole lengths.
template <class T>
Gemm<T> product(std::size_t m, std::size_t n, std::size_t k, const T* a, std::size_t lda,
                const T* b, std::size_t ldb, float* c, std::size_t ldc) {
  Gemm<T> p;
  p.m = m;
  p.n = n;
  p.k = k;
  p.a = a;
  p.lda = lda;
  p.b = b;
  p.ldb = ldb;
  p.c = c;
  p.ldc = ldc;
  return p;
}

// b is stored n x k.
template <class T>
Gemm<T> times_transposed(std::size_t m, std::size_t n, std::size_t k, const T* a, std::size_t lda,
                         const T* b, std::size_t ldb, float* c, std::size_t ldc) {
  Gemm<T> p = product(m, n, k, a, lda, b, ldb, c, ldc);
  p.transpose_b = true;
  return p;
}

// Rows [first, first + m) of c += a^T b, where a is k x lda and b is k x n.
template <class T>
Gemm<T> add_transposed_times(std::size_t first, std::size_t m, std::size_t n, std::size_t k,
                             const T* a, std::size_t lda, const T* b, std::size_t ldb, float* c) {
  Gemm<T> p = product(m, n, k, a + first, lda, b, ldb, c + first * n, n);
  p.transpose_a = true;
  p.beta = 1;
  return p;
}

}  // namespace overwinter::worker
