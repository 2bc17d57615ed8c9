// GPT-2 (Radford and others 2019): learned positions, norm before each block, gelu with tanh, the
// head tied to the embedding. Names and shapes: plan::train_tensors. Its slow twin:
// reference_model.h.
//
// Forward and the gradients of activations are cut by rows (tokens) over the team, attention by
// (sequence, head), gradients of weights by their own rows; so no thread has a gradient of its own.
// Logits exist for some rows at a time, with their gradients (gpt_head.h). With recomputation a
// layer keeps what it begins with, and backward makes the rest again (Chen and others 2016).
#pragma once

#include "common/plan/train_batch.h"
#include "worker/train/kept.h"
#include "worker/train/model.h"

namespace overwinter::worker {

// T: what activations are kept in and products multiply: float, BFloat16, Float16.
template <class T>
class Gpt final : public Model {
 public:
  Gpt(const plan::TrainRank& rank, Arena& arena, Parameters& parameters, ComputeTeam& team);

  [[nodiscard]] SampleSlot slot(std::uint64_t index) override;
  [[nodiscard]] std::uint64_t terms(std::uint64_t samples) const override;
  double loss(std::uint64_t samples) override;
  double gradients(std::uint64_t samples, float weight,
                   const std::function<void(std::size_t)>& final_from) override;
  void weights_changed(bool all) override;

 private:
  using Rows = plan::SampleRange;

  // Of one layer, in the order of plan::train_tensors.
  struct Layer {
    Parameter *norm1_gain, *norm1_bias, *qkv, *qkv_bias, *proj, *proj_bias;
    Parameter *norm2_gain, *norm2_bias, *fc, *fc_bias, *out, *out_bias;
  };

  // gpt_forward.h. Each works on rows of the thread's own.
  void forward(std::uint64_t samples);
  void embed(const Rows& rows);
  void norm_first(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void qkv_of(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void attention(std::uint32_t thread, std::size_t layer, std::uint64_t samples);
  void attention_of(std::uint32_t thread, std::size_t layer, std::uint64_t sequence,
                    std::size_t head);
  void until_activated(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void out_of(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void make_again(std::size_t layer, std::uint64_t samples);

  // gpt_head.h. The sum of the loss's terms; with a weight above 0 the gradients too.
  double head(std::uint64_t rows, float weight);
  void head_rows_of(std::uint32_t thread, const Rows& chunk, float weight);
  void head_norm_backward(std::uint64_t rows);

  // gpt_backward.h.
  void layer_backward(std::size_t layer, std::uint64_t samples);
  void mlp_backward(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void attention_backward_of(std::uint32_t thread, std::size_t layer, std::uint64_t samples);
  void head_of_attention_backward(std::uint32_t thread, std::size_t layer, std::uint64_t sequence,
                                  std::size_t head);
  void qkv_backward(std::uint32_t thread, std::size_t layer, const Rows& rows);
  void weights_backward(std::uint32_t thread, std::size_t layer, std::uint64_t rows);
  void embedding_backward(std::uint64_t rows);
  // dw += x^T dy and dbias += the sums of dy, the thread's share of both.
  void linear_weights(std::uint32_t thread, Parameter& w, Parameter& bias, const T* x, const T* dy,
                      std::uint64_t rows);
  void norm_backward(const Rows& rows, const Parameter& gain, std::size_t norm, const float* carry,
                     float* dx);
  void add_partials(const Parameter& gain, const Parameter& bias, std::uint64_t rows);

  [[nodiscard]] Rows own(std::uint32_t thread, std::uint64_t rows) const {
    return rows_of(rows, team_.size(), thread);
  }
  // Where in its piece layer `layer`'s, residual `i` (0 … 2 L) or norm `i` is kept.
  [[nodiscard]] std::size_t layer_slot(std::size_t layer) const { return recompute_ ? 0 : layer; }
  [[nodiscard]] std::size_t residual_slot(std::size_t i) const {
    if (!recompute_) return i;
    return i % 2 == 0 ? i / 2 : layers_ + 1;
  }
  [[nodiscard]] std::size_t norm_slot(std::size_t i) const {
    if (!recompute_) return i;
    return i == 2 * layers_ ? 2 : i % 2;
  }
  [[nodiscard]] float* residual(std::size_t i) { return residuals_ + residual_slot(i) * plane_; }
  [[nodiscard]] T* norm(std::size_t i) { return norms_ + norm_slot(i) * plane_; }
  [[nodiscard]] float* statistics(std::size_t i) {
    return statistics_ + norm_slot(i) * rows_max_ * 2;
  }
  [[nodiscard]] T* qkv(std::size_t layer) { return qkvs_ + layer_slot(layer) * 3 * plane_; }
  [[nodiscard]] T* attended(std::size_t layer) { return attentions_ + layer_slot(layer) * plane_; }
  // Of one head of one sequence, side by side.
  [[nodiscard]] float* log_sums(std::size_t layer, std::uint64_t sequence, std::size_t head) {
    return log_sums_ + layer_slot(layer) * rows_max_ * heads_ +
           (sequence * heads_ + head) * context_;
  }
  [[nodiscard]] T* hidden(std::size_t layer) { return hiddens_ + layer_slot(layer) * 4 * plane_; }
  [[nodiscard]] T* activated(std::size_t layer) {
    return activated_ + layer_slot(layer) * 4 * plane_;
  }
  // Gradients of the residual stream: behind a layer, between its halves, before it.
  [[nodiscard]] float* residual_gradient(std::size_t i) {
    return residual_gradients_ + (rotation_ + i) % 3 * plane_;
  }
  // The first two as products take them.
  [[nodiscard]] T* residual_factor(std::size_t i) {
    if constexpr (kIsNarrow<T>)
      return residual_copies_ + i * plane_;
    else
      return residual_gradient(i);
  }
  [[nodiscard]] float* attention_scratch(std::uint32_t thread) {
    return attention_scratch_ + thread * attention_stride_;
  }
  // Two of them in 16 bits, none in fp32.
  [[nodiscard]] float* row_scratch(std::uint32_t thread, std::size_t i) {
    if constexpr (kIsNarrow<T>)
      return row_scratch_ + (thread * 2 + i) * row_stride_;
    else
      return nullptr;
  }

  ComputeTeam& team_;
  Parameters& parameters_;
  const TrainKernels& kernels_;
  const std::size_t layers_, heads_, width_, context_, vocabulary_;
  const bool recompute_;
  const std::size_t rows_max_;  // of a micro-batch
  const std::size_t plane_;     // rows_max_ * width_
  const std::size_t attention_rows_, head_rows_;
  std::size_t lowest_layer_ = 0;  // below it everything is frozen
  bool embedding_trains_ = false;
  std::size_t rotation_ = 0;
  bool stale_ = true, all_stale_ = true;  // the weights that products take

  Parameter *wte_, *wpe_, *final_gain_, *final_bias_;
  std::vector<Layer> blocks_;

  std::int32_t *tokens_, *targets_;
  double* losses_;
  float *partials_, *residuals_, *statistics_, *log_sums_, *logits_;
  float *residual_gradients_, *norm_gradients_, *attention_scratch_, *row_scratch_;
  T *norms_, *qkvs_, *attentions_, *hiddens_, *activated_, *logit_copies_, *residual_copies_;
  T *qkv_gradients_, *hidden_gradients_;
  std::size_t partial_stride_, attention_stride_, row_stride_;
};

}  // namespace overwinter::worker
