// Causal attention of one head of one sequence, by blocks of queries, so that keys behind a block
// are never touched and no matrix of T x T exists. Backward makes the probabilities again from the
// logarithms of their denominators (the method of FlashAttention, Dao and others 2022). The slow
// twin: reference::attention.
#pragma once

#include <cstddef>

#include "worker/kernels/gemm.h"
#include "worker/kernels/train_kernels.h"

namespace overwinter::worker {

// qkv: tokens x 3 width (queries, keys, values, heads side by side in each), of one sequence;
// log_sums: tokens x heads. `scratch` has two blocks of block_rows x tokens floats. What is written
// is the head's part alone, so heads may run on threads of their own, each with a backend and a
// scratch of its own.
struct AttentionHead {
  std::size_t tokens = 0;
  std::size_t heads = 0;
  std::size_t width = 0;
  std::size_t head = 0;
  std::size_t block_rows = 64;
};

// y: tokens x width.
Status attention_forward(GemmBackend& gemm, const TrainKernels& kernels, const AttentionHead& head,
                         const float* qkv, float* y, float* log_sums, float* scratch);
// dy: tokens x width; dqkv: tokens x 3 width, the head's part is written.
Status attention_backward(GemmBackend& gemm, const TrainKernels& kernels, const AttentionHead& head,
                          const float* dy, const float* qkv, const float* log_sums, float* dqkv,
                          float* scratch);

}  // namespace overwinter::worker
