#include "worker/kernels/attention.h"

#include <algorithm>
#include <cmath>

namespace overwinter::worker {

void attention_forward(const TrainKernels& kernels, const AttentionHead& head, const float* q,
                       float* y, float* log_sums, float* scratch) {
  const std::size_t n = head.tokens;
  const float* k = q + head.part;
  const float* v = k + head.part;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head.size));
  float* const keys_across = scratch;  // size x tokens
  float* const p = keys_across + head.size * n;
  kernels.transpose(k, n, head.size, head.stride, keys_across, n);
  for (std::size_t first = 0; first < n; first += head.block_rows) {
    const std::size_t rows = std::min(head.block_rows, n - first);
    const std::size_t keys = first + rows;
    kernels.small_product(rows, keys, head.size, q + first * head.stride, head.stride, 1,
                          keys_across, n, p, n, false);
    kernels.causal_softmax(p, rows, first, n, scale, log_sums + first);
    kernels.small_product(rows, head.size, keys, p, n, 1, v, head.stride, y + first * head.y_stride,
                          head.y_stride, false);
  }
}

void attention_backward(const TrainKernels& kernels, const AttentionHead& head, const float* dy,
                        const float* q, const float* log_sums, float* dq, float* scratch) {
  const std::size_t n = head.tokens;
  const float* k = q + head.part;
  const float* v = k + head.part;
  float* dk = dq + head.part;
  float* dv = dk + head.part;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head.size));
  float* const keys_across = scratch;
  float* const values_across = keys_across + head.size * n;
  float* const p = values_across + head.size * n;
  float* const d = p + std::min(head.block_rows, n) * n;
  kernels.transpose(k, n, head.size, head.stride, keys_across, n);
  kernels.transpose(v, n, head.size, head.stride, values_across, n);
  // From the last block on: it is the only one with all keys, so it writes dk and dv and the others
  // add.
  const std::size_t blocks = (n + head.block_rows - 1) / head.block_rows;
  for (std::size_t block = blocks; block-- > 0;) {
    const std::size_t first = block * head.block_rows;
    const std::size_t rows = std::min(head.block_rows, n - first);
    const std::size_t keys = first + rows;
    const bool add = block + 1 < blocks;
    const float* q_block = q + first * head.stride;
    const float* dy_block = dy + first * head.y_stride;
    kernels.small_product(rows, keys, head.size, q_block, head.stride, 1, keys_across, n, p, n,
                          false);
    kernels.causal_probabilities(p, rows, first, n, scale, log_sums + first);
    kernels.small_product(rows, keys, head.size, dy_block, head.y_stride, 1, values_across, n, d, n,
                          false);
    kernels.small_product(keys, head.size, rows, p, 1, n, dy_block, head.y_stride, dv, head.stride,
                          add);
    kernels.causal_softmax_backward(p, d, rows, first, n, scale);
    kernels.small_product(rows, head.size, keys, d, n, 1, k, head.stride, dq + first * head.stride,
                          head.stride, false);
    kernels.small_product(keys, head.size, rows, d, 1, n, q_block, head.stride, dk, head.stride,
                          add);
  }
}

}  // namespace overwinter::worker
