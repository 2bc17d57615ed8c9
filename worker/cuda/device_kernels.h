// DeviceKernels: what a training does beside products, on an accelerator. The operations of
// train_kernels.h with the device's pointers, and attention of a whole batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "worker/cuda/accelerator.h"
#include "worker/cuda/attention_ops.h"
#include "worker/cuda/row_ops.h"
#include "worker/kernels/train_kernels.h"

namespace overwinter::worker::cuda {

// Matrices are row-major and dense. Arguments mean what they mean in train_kernels.h; what differs
// is said here. Every call only asks for the work (Accelerator says in which order it is done); no
// call allocates. The same inputs give the same bits again on the same device. Used by the caller
// of its accelerator, which outlives it.
class DeviceKernels {
 public:
  virtual ~DeviceKernels() = default;

  virtual Status layer_norm(const float* x, const float* gain, const float* bias, std::size_t rows,
                            std::size_t width, float* y, float* statistics) = 0;
  virtual Status layer_norm_backward(const float* dy, const float* x, const float* gain,
                                     const float* statistics, std::size_t rows, std::size_t width,
                                     const float* carry, float* dx, float* dgain, float* dbias) = 0;
  virtual Status add_bias(float* y, const float* bias, std::size_t rows, std::size_t width) = 0;
  virtual Status add_bias_residual(float* y, const float* bias, const float* residual,
                                   std::size_t rows, std::size_t width) = 0;
  virtual Status bias_gelu(float* hidden, const float* bias, std::size_t rows, std::size_t width,
                           float* y) = 0;
  virtual Status gelu_backward(const float* hidden, float* d, std::size_t count) = 0;
  virtual Status bias_relu(float* y, const float* bias, std::size_t rows, std::size_t width) = 0;
  virtual Status relu_backward(const float* y, float* d, std::size_t count) = 0;

  // y: sequences x tokens x width; log_sums: sequences x tokens x heads. UNIMPLEMENTED for heads
  // of more than kHeadSizeMax columns, and where the GPU has too little shared memory for them.
  virtual Status attention(const AttentionShape& shape, const float* qkv, float* y,
                           float* log_sums) = 0;
  // y and log_sums as attention() has left them; delta: as log_sums, written. dqkv is written.
  virtual Status attention_backward(const AttentionShape& shape, const float* dy, const float* qkv,
                                    const float* y, const float* log_sums, float* delta,
                                    float* dqkv) = 0;

  // losses: one a row. With `weight` above 0 logits become weight * the gradient.
  virtual Status cross_entropy(float* logits, const std::int32_t* targets, std::size_t rows,
                               std::size_t classes, float weight, double* losses) = 0;
  // partials, here and below: kPartialSums, whose sum is the result; sum_of_partials() fetches it.
  virtual Status squared_error(float* y, const float* targets, std::size_t count, float weight,
                               double* partials) = 0;
  virtual Status sum_of_squares(const float* values, std::size_t count, double* partials) = 0;
  virtual Status sum(const double* values, std::size_t count, double* partials) = 0;

  virtual Status column_sums(const float* d, std::size_t rows, std::size_t width, std::size_t begin,
                             std::size_t end, float* sums) = 0;
  virtual Status embed(const std::int32_t* tokens, const float* wte, const float* wpe,
                       std::size_t rows, std::size_t first, std::size_t context, std::size_t width,
                       float* y) = 0;
  // All columns; either table may be null.
  virtual Status embed_backward(const std::int32_t* tokens, const float* d, std::size_t rows,
                                std::size_t context, std::size_t width, float* wte, float* wpe) = 0;

  virtual Status adamw(float* weights, const float* gradients, float* first, float* second,
                       std::size_t count, const AdamwStep& step) = 0;
  virtual Status sgd(float* weights, const float* gradients, float* velocity, std::size_t count,
                     const SgdStep& step) = 0;
};

// Waits for them.
[[nodiscard]] Result<double> sum_of_partials(Accelerator& device, const double* partials);

}  // namespace overwinter::worker::cuda
