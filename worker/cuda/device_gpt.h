// Steps of a GPT-2 on an accelerator, in fp32 (products in TF32 if asked): forward, gradients,
// AdamW. What overwinter-bench measures a GPU's tokens by; a job's training is worker/train's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "worker/cuda/accelerator.h"
#include "worker/cuda/device_kernels.h"

namespace overwinter::worker::cuda {

struct GptShape {
  std::size_t layers = 0;
  std::size_t heads = 0;
  std::size_t width = 0;
  std::size_t context = 0;
  std::size_t vocabulary = 0;
  std::size_t batch = 0;  // sequences of context tokens a step

  [[nodiscard]] std::size_t rows() const { return batch * context; }
  // Weights, all in one stretch in the order of plan::train_tensors: wte, wpe; of each layer norm1
  // gain and bias, qkv and bias, proj and bias, norm2 gain and bias, fc and bias, out and bias;
  // then the last norm's gain and bias. The head is wte.
  [[nodiscard]] std::size_t parameters() const;
  // Device memory for weights, gradients, moments and activations.
  [[nodiscard]] std::size_t memory_bytes() const;
};

// One caller at a time, as the accelerator, which it must not outlive, nor the memory (the
// device's).
class DeviceGpt {
 public:
  // RESOURCE_EXHAUSTED without room; UNAVAILABLE without products. Weights, gradients and moments
  // are 0.
  [[nodiscard]] static Result<std::unique_ptr<DeviceGpt>> make(Accelerator& device,
                                                               MemoryResource& memory,
                                                               const GptShape& shape, bool tf32);

  Status set_weights(std::span<const float> weights);
  [[nodiscard]] Result<std::vector<float>> weights() const;
  [[nodiscard]] Result<std::vector<float>> gradients() const;

  // rows() of each. The mean of the losses; gradients are those of it.
  [[nodiscard]] Result<double> gradients_of(std::span<const std::int32_t> tokens,
                                            std::span<const std::int32_t> targets);
  Status adamw(const AdamwStep& step);

 private:
  struct Layer {
    std::size_t norm1_gain, norm1_bias, qkv, qkv_bias, proj, proj_bias;
    std::size_t norm2_gain, norm2_bias, fc, fc_bias, out, out_bias;
  };
  // Of one layer's forward, kept for its backward.
  struct Kept {
    float *norm1, *statistics1, *qkv, *log_sums, *attended, *middle, *norm2, *statistics2, *hidden,
        *activated, *behind;
  };

  DeviceGpt(Accelerator& device, const GptShape& shape);
  Status prepare(MemoryResource& memory, bool tf32);
  [[nodiscard]] float* take(std::size_t floats);
  [[nodiscard]] float* w(std::size_t offset) { return weights_ + offset; }
  [[nodiscard]] float* g(std::size_t offset) { return gradients_ + offset; }

  Status forward_layer(const Layer& l, const Kept& k, const float* before);
  Status head();
  Status backward_layer(const Layer& l, const Kept& k, const float* before);
  Status head_backward();
  // y = x w; dx = dy w^T; dw += x^T dy and the bias's sums.
  Status times(const float* x, const float* w, std::size_t inputs, std::size_t outputs, float* y);
  Status times_transposed(const float* dy, const float* w, std::size_t inputs, std::size_t outputs,
                          float* dx);
  Status weight_gradients(const float* x, const float* dy, std::size_t inputs, std::size_t outputs,
                          float* dw, float* dbias);

  Accelerator& device_;
  const GptShape shape_;
  std::unique_ptr<DeviceKernels> kernels_;
  std::unique_ptr<GemmBackend> gemm_;
  Buffer all_;
  std::size_t taken_ = 0;  // of all_, in floats
  std::vector<Layer> layers_;
  std::vector<Kept> kept_;
  std::size_t wpe_ = 0, final_gain_ = 0, final_bias_ = 0;
  float *weights_ = nullptr, *gradients_ = nullptr, *first_ = nullptr, *second_ = nullptr;
  float *embedded_ = nullptr, *final_norm_ = nullptr, *final_statistics_ = nullptr;
  float *logits_ = nullptr, *dnorm_ = nullptr, *dqkv_ = nullptr, *dhidden_ = nullptr;
  float *dstream_ = nullptr, *delta_ = nullptr;
  double *losses_ = nullptr, *partials_ = nullptr;
  std::int32_t *tokens_ = nullptr, *targets_ = nullptr;
};

}  // namespace overwinter::worker::cuda
