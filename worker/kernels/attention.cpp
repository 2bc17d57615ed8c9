#include "worker/kernels/attention.h"

#include <algorithm>
#include <cmath>

namespace overwinter::worker {
namespace {

// c = op(a) op(b) (+ c with beta 1).
Gemm<float> product(std::size_t m, std::size_t n, std::size_t k, const float* a, std::size_t lda,
                    const float* b, std::size_t ldb, float* c, std::size_t ldc) {
  Gemm<float> p;
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

}  // namespace

Status attention_forward(GemmBackend& gemm, const TrainKernels& kernels, const AttentionHead& head,
                         const float* qkv, float* y, float* log_sums, float* scratch) {
  const std::size_t size = head.width / head.heads;
  const std::size_t stride = 3 * head.width;
  const float* q = qkv + head.head * size;
  const float* k = q + head.width;
  const float* v = k + head.width;
  const float scale = 1.0F / std::sqrt(static_cast<float>(size));
  for (std::size_t first = 0; first < head.tokens; first += head.block_rows) {
    const std::size_t rows = std::min(head.block_rows, head.tokens - first);
    const std::size_t keys = first + rows;
    Gemm<float> scores =
        product(rows, keys, size, q + first * stride, stride, k, stride, scratch, keys);
    scores.transpose_b = true;
    if (Status s = gemm.gemm(scores); !s.ok()) return s;
    kernels.causal_softmax(scratch, rows, first, keys, scale,
                           log_sums + first * head.heads + head.head, head.heads);
    const Gemm<float> values = product(rows, size, keys, scratch, keys, v, stride,
                                       y + first * head.width + head.head * size, head.width);
    if (Status s = gemm.gemm(values); !s.ok()) return s;
  }
  return Status::success();
}

Status attention_backward(GemmBackend& gemm, const TrainKernels& kernels, const AttentionHead& head,
                          const float* dy, const float* qkv, const float* log_sums, float* dqkv,
                          float* scratch) {
  const std::size_t size = head.width / head.heads;
  const std::size_t stride = 3 * head.width;
  const float* q = qkv + head.head * size;
  const float* k = q + head.width;
  const float* v = k + head.width;
  float* dq = dqkv + head.head * size;
  float* dk = dq + head.width;
  float* dv = dk + head.width;
  const float scale = 1.0F / std::sqrt(static_cast<float>(size));
  float* p = scratch;
  float* d = scratch + std::min(head.block_rows, head.tokens) * head.tokens;
  // From the last block on: it is the only one with all keys, so it writes dk and dv and the others
  // add.
  const std::size_t blocks = (head.tokens + head.block_rows - 1) / head.block_rows;
  for (std::size_t block = blocks; block-- > 0;) {
    const std::size_t first = block * head.block_rows;
    const std::size_t rows = std::min(head.block_rows, head.tokens - first);
    const std::size_t keys = first + rows;
    const float* dy_block = dy + first * head.width + head.head * size;
    const float beta = block + 1 == blocks ? 0.0F : 1.0F;
    Gemm<float> scores = product(rows, keys, size, q + first * stride, stride, k, stride, p, keys);
    scores.transpose_b = true;
    if (Status s = gemm.gemm(scores); !s.ok()) return s;
    kernels.causal_probabilities(p, rows, first, keys, scale,
                                 log_sums + first * head.heads + head.head, head.heads);
    Gemm<float> of_probabilities =
        product(rows, keys, size, dy_block, head.width, v, stride, d, keys);
    of_probabilities.transpose_b = true;
    if (Status s = gemm.gemm(of_probabilities); !s.ok()) return s;
    Gemm<float> of_values = product(keys, size, rows, p, keys, dy_block, head.width, dv, stride);
    of_values.transpose_a = true;
    of_values.beta = beta;
    if (Status s = gemm.gemm(of_values); !s.ok()) return s;
    kernels.causal_softmax_backward(p, d, rows, first, keys, scale);
    const Gemm<float> of_queries =
        product(rows, size, keys, d, keys, k, stride, dq + first * stride, stride);
    if (Status s = gemm.gemm(of_queries); !s.ok()) return s;
    Gemm<float> of_keys =
        product(keys, size, rows, d, keys, q + first * stride, stride, dk, stride);
    of_keys.transpose_a = true;
    of_keys.beta = beta;
    if (Status s = gemm.gemm(of_keys); !s.ok()) return s;
  }
  return Status::success();
}

}  // namespace overwinter::worker
