#include "worker/train/gpt.h"

#include "common/base/check.h"
#include "worker/train/gpt_backward.h"
#include "worker/train/gpt_forward.h"
#include "worker/train/gpt_head.h"

namespace overwinter::worker {

using plan::TrainPiece;

constexpr std::size_t kLayerTensors = 12;

template <class T>
Gpt<T>::Gpt(const plan::TrainRank& rank, Arena& arena, Parameters& parameters, ComputeTeam& team)
    : team_(team),
      parameters_(parameters),
      kernels_(team.kernels()),
      layers_(rank.shape.layers),
      heads_(rank.shape.heads),
      width_(rank.shape.width),
      context_(rank.shape.context),
      vocabulary_(rank.shape.vocabulary),
      recompute_(rank.recompute),
      rows_max_(rank.micro_batch * rank.shape.context),
      plane_(rows_max_ * width_),
      attention_rows_(std::min<std::size_t>(plan::kAttentionRows, context_)),
      head_rows_(plan::head_rows(rank)),
      tokens_(arena.piece<std::int32_t>(TrainPiece::kInputs)),
      targets_(arena.piece<std::int32_t>(TrainPiece::kTargets)),
      losses_(arena.piece<double>(TrainPiece::kLosses)),
      partials_(arena.piece<float>(TrainPiece::kPartials)),
      residuals_(arena.piece<float>(TrainPiece::kResiduals)),
      statistics_(arena.piece<float>(TrainPiece::kNormStatistics)),
      log_sums_(arena.piece<float>(TrainPiece::kLogSums)),
      logits_(arena.piece<float>(TrainPiece::kLogits)),
      residual_gradients_(arena.piece<float>(TrainPiece::kResidualGradients)),
      norm_gradients_(arena.piece<float>(TrainPiece::kNormGradients)),
      attention_scratch_(arena.piece<float>(TrainPiece::kAttentionScratch)),
      row_scratch_(arena.piece<float>(TrainPiece::kRowScratch)),
      norms_(arena.piece<T>(TrainPiece::kNorms)),
      qkvs_(arena.piece<T>(TrainPiece::kQueryKeyValues)),
      attentions_(arena.piece<T>(TrainPiece::kAttentions)),
      hiddens_(arena.piece<T>(TrainPiece::kHiddens)),
      activated_(arena.piece<T>(TrainPiece::kActivated)),
      logit_copies_(arena.piece<T>(TrainPiece::kLogitCopies)),
      residual_copies_(arena.piece<T>(TrainPiece::kResidualGradientCopies)),
      qkv_gradients_(arena.piece<T>(TrainPiece::kQueryKeyValueGradients)),
      hidden_gradients_(arena.piece<T>(TrainPiece::kHiddenGradients)),
      partial_stride_(plan::train_aligned(width_ * sizeof(float)) / sizeof(float)),
      attention_stride_(arena.bytes(TrainPiece::kAttentionScratch) / sizeof(float) / team.size()),
      row_stride_(arena.bytes(TrainPiece::kRowScratch) / sizeof(float) / 2 / team.size()) {
  const std::span<Parameter> all = parameters.all();
  check(all.size() == 4 + kLayerTensors * layers_, "the tensors of a gpt");
  wte_ = &all[0];
  wpe_ = &all[1];
  for (std::size_t l = 0; l < layers_; ++l) {
    Parameter* t = &all[2 + l * kLayerTensors];
    blocks_.push_back(
        {t, t + 1, t + 2, t + 3, t + 4, t + 5, t + 6, t + 7, t + 8, t + 9, t + 10, t + 11});
  }
  final_gain_ = &all[all.size() - 2];
  final_bias_ = &all[all.size() - 1];
  embedding_trains_ = wte_->gradients != nullptr || wpe_->gradients != nullptr;
  const auto first =
      std::ranges::find_if(all, [](const Parameter& p) { return p.gradients != nullptr; });
  const auto index = static_cast<std::size_t>(first - all.begin());
  lowest_layer_ = index < 2 ? 0 : std::min(layers_, (index - 2) / kLayerTensors);
}

template <class T>
SampleSlot Gpt<T>::slot(std::uint64_t index) {
  SampleSlot slot;
  slot.tokens = {tokens_ + index * context_, context_};
  slot.classes = {targets_ + index * context_, context_};
  return slot;
}

template <class T>
std::uint64_t Gpt<T>::terms(std::uint64_t samples) const {
  return samples * context_;
}

template <class T>
void Gpt<T>::weights_changed(bool all) {
  stale_ = true;
  all_stale_ = all_stale_ || all;
}

template <class T>
double Gpt<T>::loss(std::uint64_t samples) {
  forward(samples);
  return head(samples * context_, 0);
}

template <class T>
double Gpt<T>::gradients(std::uint64_t samples, float weight,
                         const std::function<void(std::size_t)>& final_from) {
  const std::uint64_t rows = samples * context_;
  forward(samples);
  rotation_ = 0;
  const double total = head(rows, weight);
  head_norm_backward(rows);
  final_from(final_gain_->gradient_offset);
  for (std::size_t layer = layers_; layer-- > lowest_layer_;) {
    // Of the last one everything is still there.
    if (recompute_ && layer + 1 < layers_) make_again(layer, samples);
    layer_backward(layer, samples);
    final_from(blocks_[layer].norm1_gain->gradient_offset);
  }
  if (embedding_trains_) embedding_backward(rows);
  final_from(0);
  return total;
}

template class Gpt<float>;
template class Gpt<BFloat16>;
template class Gpt<Float16>;

}  // namespace overwinter::worker
