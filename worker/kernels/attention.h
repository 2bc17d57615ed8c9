// Causal attention of one head of one sequence, by blocks of queries, so that keys behind a block
// are never touched and no matrix of T x T exists. Backward makes the probabilities again from the
// logarithms of their denominators (the method of FlashAttention, Dao and others 2022). The slow
// twin: reference::attention.
#pragma once

#include <cstddef>

#include "worker/kernels/train_kernels.h"

namespace overwinter::worker {

// Where one head of one sequence lies: row t of its queries at q + t * stride, of its keys at
// q + part + t * stride, of its values at q + 2 part + t * stride, each of `size` numbers. Of
// queries, keys and values side by side for all heads `part` is the model's width and `stride`
// three times that. `y_stride`: of what attention gives, and of its gradient.
struct AttentionHead {
  std::size_t tokens = 0;
  std::size_t size = 0;
  std::size_t part = 0;
  std::size_t stride = 0;
  std::size_t y_stride = 0;
  std::size_t block_rows = 32;
};

// What `scratch` below has.
[[nodiscard]] constexpr std::size_t attention_scratch_floats(std::size_t tokens, std::size_t size,
                                                             std::size_t block_rows) {
  return 2 * tokens * (size + block_rows);
}

// y: tokens x size; log_sums: tokens. What is written is the head's part alone, so heads may run on
// threads of their own, each with a scratch of its own.
void attention_forward(const TrainKernels& kernels, const AttentionHead& head, const float* q,
                       float* y, float* log_sums, float* scratch);
// dy lies as y does, dq as q.
void attention_backward(const TrainKernels& kernels, const AttentionHead& head, const float* dy,
                        const float* q, const float* log_sums, float* dq, float* scratch);

}  // namespace overwinter::worker
