#include <cstring>

#include "common/base/check.h"
#include "worker/kernels/attention.h"
#include "worker/train/gpt.h"
#include "worker/train/products.h"

namespace overwinter::worker {

void Gpt::norm_backward(std::uint32_t thread, const Rows& rows, const Parameter& gain,
                        std::size_t norm, const float* dy, const float* carry, float* dx) {
  float* const own = partials(thread);
  std::memset(own, 0, 2 * partial_stride_ * sizeof(float));
  const std::size_t at = rows.begin * width_;
  team_.kernels().layer_norm_backward(dy + at, residual(norm) + at, gain.weights,
                                      statistics(norm) + 2 * rows.begin, rows.size(), width_,
                                      carry + at, dx + at, own, own + partial_stride_);
}

void Gpt::add_partials(const Parameter& gain, const Parameter& bias) {
  for (std::uint32_t thread = 0; thread < team_.size(); ++thread) {
    const float* const own = partials(thread);
    if (gain.gradients != nullptr) team_.kernels().add_bias(gain.gradients, own, 1, width_);
    if (bias.gradients != nullptr)
      team_.kernels().add_bias(bias.gradients, own + partial_stride_, 1, width_);
  }
}

void Gpt::linear_weights(std::uint32_t thread, Parameter& w, Parameter& bias, const float* x,
                         const float* dy, std::uint64_t rows) {
  const std::size_t inputs = w.shape[0];
  const std::size_t outputs = w.shape[1];
  if (w.gradients != nullptr) {
    const Rows own = rows_of(thread, inputs);
    if (own.size() > 0)
      team_.multiply(thread, add_transposed_times(own.begin, own.size(), outputs, rows, x, inputs,
                                                  dy, outputs, w.gradients));
  }
  if (bias.gradients != nullptr) {
    const Rows own = rows_of(thread, outputs);
    team_.kernels().column_sums(dy, rows, outputs, own.begin, own.end, bias.gradients);
  }
}

void Gpt::head_backward(std::uint64_t rows) {
  float* const behind = residual_gradient(0);
  team_.run([&](std::uint32_t thread) {
    const Rows own = rows_of(thread, rows);
    const std::size_t at = own.begin * width_;
    team_.multiply(thread,
                   product(own.size(), width_, vocabulary_, logits_ + own.begin * vocabulary_,
                           vocabulary_, wte_->weights, width_, norm_gradients_ + at, width_));
    std::memset(behind + at, 0, own.size() * width_ * sizeof(float));
    norm_backward(thread, own, *final_gain_, 2 * layers_, norm_gradients_, behind, behind);
  });
  add_partials(*final_gain_, *final_bias_);
  if (wte_->gradients == nullptr) return;
  team_.run([&](std::uint32_t thread) {
    const Rows own = rows_of(thread, vocabulary_);
    if (own.size() == 0) return;
    team_.multiply(thread,
                   add_transposed_times(own.begin, own.size(), width_, rows, logits_, vocabulary_,
                                        norm(2 * layers_), width_, wte_->gradients));
  });
}

void Gpt::mlp_backward(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  const std::size_t n = rows.size();
  const std::size_t at = rows.begin * width_;
  float* const dhidden = hidden_gradients_ + 4 * at;
  team_.multiply(thread, times_transposed(n, 4 * width_, width_, residual_gradient(0) + at, width_,
                                          b.out->weights, width_, dhidden, 4 * width_));
  team_.kernels().gelu_backward(hidden(layer) + 4 * at, dhidden, n * 4 * width_);
  team_.multiply(thread, times_transposed(n, width_, 4 * width_, dhidden, 4 * width_, b.fc->weights,
                                          4 * width_, norm_gradients_ + at, width_));
  norm_backward(thread, rows, *b.norm2_gain, 2 * layer + 1, norm_gradients_, residual_gradient(0),
                residual_gradient(1));
  // From here to attention the buffer holds the gradient of what attention gave.
  team_.multiply(thread, times_transposed(n, width_, width_, residual_gradient(1) + at, width_,
                                          b.proj->weights, width_, norm_gradients_ + at, width_));
}

void Gpt::attention_backward_of(std::uint32_t thread, std::size_t layer, std::uint64_t samples) {
  const Rows pairs = rows_of(thread, samples * heads_);
  for (std::uint64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const std::size_t at = pair / heads_ * context_;
    const AttentionHead shape{context_, heads_, width_, pair % heads_, block_rows_};
    const Status done = attention_backward(
        team_.gemm(thread), team_.kernels(), shape, norm_gradients_ + at * width_,
        qkv(layer) + at * 3 * width_, log_sums(layer) + at * heads_,
        qkv_gradients_ + at * 3 * width_, scratch(thread));
    check(done.ok(), "attention's products are well formed");
    team_.pause(thread);
  }
}

void Gpt::qkv_backward(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  const std::size_t at = rows.begin * width_;
  team_.multiply(
      thread, times_transposed(rows.size(), width_, 3 * width_, qkv_gradients_ + 3 * at, 3 * width_,
                               b.qkv->weights, 3 * width_, norm_gradients_ + at, width_));
  norm_backward(thread, rows, *b.norm1_gain, 2 * layer, norm_gradients_, residual_gradient(1),
                residual_gradient(2));
}

void Gpt::weights_backward(std::uint32_t thread, std::size_t layer, std::uint64_t rows) {
  const Layer& b = blocks_[layer];
  linear_weights(thread, *b.out, *b.out_bias, activated(layer), residual_gradient(0), rows);
  linear_weights(thread, *b.fc, *b.fc_bias, norm(2 * layer + 1), hidden_gradients_, rows);
  linear_weights(thread, *b.proj, *b.proj_bias, attended(layer), residual_gradient(1), rows);
  linear_weights(thread, *b.qkv, *b.qkv_bias, norm(2 * layer), qkv_gradients_, rows);
}

void Gpt::layer_backward(std::size_t layer, std::uint64_t samples) {
  const Layer& b = blocks_[layer];
  const std::uint64_t rows = samples * context_;
  team_.run([&](std::uint32_t thread) { mlp_backward(thread, layer, rows_of(thread, rows)); });
  add_partials(*b.norm2_gain, *b.norm2_bias);
  team_.run([&](std::uint32_t thread) { attention_backward_of(thread, layer, samples); });
  team_.run([&](std::uint32_t thread) { qkv_backward(thread, layer, rows_of(thread, rows)); });
  add_partials(*b.norm1_gain, *b.norm1_bias);
  team_.run([&](std::uint32_t thread) { weights_backward(thread, layer, rows); });
  rotation_ = (rotation_ + 2) % 3;  // before this layer is behind the one below
}

void Gpt::embedding_backward(std::uint64_t rows) {
  team_.run([&](std::uint32_t thread) {
    const Rows own = rows_of(thread, width_);
    team_.kernels().embed_backward(tokens_, residual_gradient(0), rows, context_, width_, own.begin,
                                   own.end, wte_->gradients, wpe_->gradients);
  });
}

}  // namespace overwinter::worker
