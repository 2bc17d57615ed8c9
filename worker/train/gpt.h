// GPT-2 (Radford and others 2019): learned positions, norm before each block, gelu with tanh, the
// head tied to the embedding. Names and shapes: plan::train_tensors. Its slow twin:
// reference_gpt.h.
//
// Forward and the gradients of activations are cut by rows (tokens) over the team, attention by
// (sequence, head), gradients of weights by their own rows; so no thread has a gradient of its own.
#pragma once

#include "common/plan/train_batch.h"
#include "worker/train/model.h"

namespace overwinter::worker {

class Gpt final : public Model {
 public:
  Gpt(const plan::TrainRank& rank, Arena& arena, Parameters& parameters, ComputeTeam& team);

  [[nodiscard]] SampleSlot slot(std::uint64_t index) override;
  [[nodiscard]] std::uint64_t terms(std::uint64_t samples) const override;
  double loss(std::uint64_t samples) override;
  double gradients(std::uint64_t samples, float weight,
                   const std::function<void(std::size_t)>& final_from) override;

 private:
  using Rows = plan::SampleRange;

  // Of one layer, in the order of plan::train_tensors.
  struct Layer {
    Parameter *norm1_gain, *norm1_bias, *qkv, *qkv_bias, *proj, *proj_bias;
    Parameter *norm2_gain, *norm2_bias, *fc, *fc_bias, *out, *out_bias;
  };

  double forward(std::uint64_t samples, float weight);
  void embed(const Rows& rows);
  void before_attention(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void attention(std::uint32_t thread, std::size_t layer, std::uint64_t samples);
  void after_attention(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void head(std::uint32_t thread, const Rows& rows, float weight);

  void head_backward(std::uint64_t rows);
  void layer_backward(std::size_t layer, std::uint64_t samples);
  void mlp_backward(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void attention_backward_of(std::uint32_t thread, std::size_t layer, std::uint64_t samples);
  void qkv_backward(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void weights_backward(std::uint32_t thread, std::size_t layer, std::uint64_t rows);
  void embedding_backward(std::uint64_t rows);
  // dw += x^T dy and dbias += the sums of dy, the thread's share of both.
  void linear_weights(std::uint32_t thread, Parameter& w, Parameter& bias, const float* x,
                      const float* dy, std::uint64_t rows);
  void norm_backward(std::uint32_t thread, const Rows& rows, const Parameter& gain,
                     std::size_t norm, const float* dy, const float* carry, float* dx);
  void add_partials(const Parameter& gain, const Parameter& bias);

  [[nodiscard]] Rows rows_of(std::uint32_t thread, std::uint64_t rows) const;
  [[nodiscard]] float* residual(std::size_t i) { return residuals_ + i * plane_; }
  [[nodiscard]] float* norm(std::size_t i) { return norms_ + i * plane_; }
  [[nodiscard]] float* statistics(std::size_t i) { return statistics_ + i * rows_max_ * 2; }
  [[nodiscard]] float* qkv(std::size_t layer) { return qkvs_ + layer * 3 * plane_; }
  [[nodiscard]] float* attended(std::size_t layer) { return attentions_ + layer * plane_; }
  [[nodiscard]] float* log_sums(std::size_t layer) {
    return log_sums_ + layer * rows_max_ * heads_;
  }
  [[nodiscard]] float* hidden(std::size_t layer) { return hiddens_ + layer * 4 * plane_; }
  [[nodiscard]] float* activated(std::size_t layer) { return activated_ + layer * 4 * plane_; }
  // Gradients of the residual stream: behind a layer, between its halves, before it.
  [[nodiscard]] float* residual_gradient(std::size_t i) {
    return residual_gradients_ + (rotation_ + i) % 3 * plane_;
  }
  [[nodiscard]] float* partials(std::uint32_t thread) {
    return partials_ + thread * 2 * partial_stride_;
  }
  [[nodiscard]] float* scratch(std::uint32_t thread) {
    return scratch_ + thread * 2 * block_rows_ * context_;
  }

  ComputeTeam& team_;
  const std::size_t layers_, heads_, width_, context_, vocabulary_;
  const std::size_t rows_max_;  // of a micro-batch
  const std::size_t plane_;     // rows_max_ * width_
  const std::size_t block_rows_;
  std::size_t lowest_layer_ = 0;  // below it everything is frozen
  bool embedding_trains_ = false;
  std::size_t rotation_ = 0;

  Parameter *wte_, *wpe_, *final_gain_, *final_bias_;
  std::vector<Layer> blocks_;

  std::int32_t *tokens_, *targets_;
  double* losses_;
  float *partials_, *residuals_, *norms_, *statistics_, *qkvs_, *attentions_, *log_sums_;
  float *hiddens_, *activated_, *logits_, *residual_gradients_, *norm_gradients_;
  float *qkv_gradients_, *hidden_gradients_, *scratch_;
  std::size_t partial_stride_;
};

}  // namespace overwinter::worker
