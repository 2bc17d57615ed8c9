#include "worker/train/gpt.h"

#include <algorithm>

#include "common/base/check.h"
#include "worker/kernels/attention.h"
#include "worker/train/products.h"

namespace overwinter::worker {

using plan::TrainPiece;

constexpr std::size_t kLayerTensors = 12;

Gpt::Gpt(const plan::TrainRank& rank, Arena& arena, Parameters& parameters, ComputeTeam& team)
    : team_(team),
      layers_(rank.shape.layers),
      heads_(rank.shape.heads),
      width_(rank.shape.width),
      context_(rank.shape.context),
      vocabulary_(rank.shape.vocabulary),
      rows_max_(rank.micro_batch * rank.shape.context),
      plane_(rows_max_ * width_),
      block_rows_(std::min<std::size_t>(plan::kAttentionRows, context_)),
      tokens_(arena.piece<std::int32_t>(TrainPiece::kInputs)),
      targets_(arena.piece<std::int32_t>(TrainPiece::kTargets)),
      losses_(arena.piece<double>(TrainPiece::kLosses)),
      partials_(arena.piece<float>(TrainPiece::kPartials)),
      residuals_(arena.piece<float>(TrainPiece::kResiduals)),
      norms_(arena.piece<float>(TrainPiece::kNorms)),
      statistics_(arena.piece<float>(TrainPiece::kNormStatistics)),
      qkvs_(arena.piece<float>(TrainPiece::kQueryKeyValues)),
      attentions_(arena.piece<float>(TrainPiece::kAttentions)),
      log_sums_(arena.piece<float>(TrainPiece::kLogSums)),
      hiddens_(arena.piece<float>(TrainPiece::kHiddens)),
      activated_(arena.piece<float>(TrainPiece::kActivated)),
      logits_(arena.piece<float>(TrainPiece::kLogits)),
      residual_gradients_(arena.piece<float>(TrainPiece::kResidualGradients)),
      norm_gradients_(arena.piece<float>(TrainPiece::kNormGradients)),
      qkv_gradients_(arena.piece<float>(TrainPiece::kQueryKeyValueGradients)),
      hidden_gradients_(arena.piece<float>(TrainPiece::kHiddenGradients)),
      scratch_(arena.piece<float>(TrainPiece::kAttentionScratch)),
      partial_stride_(arena.bytes(TrainPiece::kPartials) / sizeof(float) / 2 / team.size()) {
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

SampleSlot Gpt::slot(std::uint64_t index) {
  SampleSlot slot;
  slot.tokens = {tokens_ + index * context_, context_};
  slot.classes = {targets_ + index * context_, context_};
  return slot;
}

std::uint64_t Gpt::terms(std::uint64_t samples) const {
  return samples * context_;
}

Gpt::Rows Gpt::rows_of(std::uint32_t thread, std::uint64_t rows) const {
  return plan::share_of(rows, team_.size(), thread);
}

void Gpt::embed(const Rows& rows) {
  team_.kernels().embed(tokens_ + rows.begin, wte_->weights, wpe_->weights, rows.size(), rows.begin,
                        context_, width_, residual(0) + rows.begin * width_);
}

void Gpt::before_attention(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  const std::size_t n = rows.size();
  const std::size_t at = rows.begin * width_;
  team_.kernels().layer_norm(residual(2 * layer) + at, b.norm1_gain->weights, b.norm1_bias->weights,
                             n, width_, norm(2 * layer) + at,
                             statistics(2 * layer) + 2 * rows.begin);
  float* const y = qkv(layer) + 3 * at;
  team_.multiply(thread, product(n, 3 * width_, width_, norm(2 * layer) + at, width_,
                                 b.qkv->weights, 3 * width_, y, 3 * width_));
  team_.kernels().add_bias(y, b.qkv_bias->weights, n, 3 * width_);
}

void Gpt::attention(std::uint32_t thread, std::size_t layer, std::uint64_t samples) {
  const Rows pairs = rows_of(thread, samples * heads_);
  for (std::uint64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const std::size_t at = pair / heads_ * context_;
    const AttentionHead shape{context_, heads_, width_, pair % heads_, block_rows_};
    const Status done = attention_forward(
        team_.gemm(thread), team_.kernels(), shape, qkv(layer) + at * 3 * width_,
        attended(layer) + at * width_, log_sums(layer) + at * heads_, scratch(thread));
    check(done.ok(), "attention's products are well formed");
    team_.pause(thread);
  }
}

void Gpt::after_attention(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  const TrainKernels& k = team_.kernels();
  const std::size_t n = rows.size();
  const std::size_t at = rows.begin * width_;
  float* const middle = residual(2 * layer + 1) + at;
  team_.multiply(thread, product(n, width_, width_, attended(layer) + at, width_, b.proj->weights,
                                 width_, middle, width_));
  k.add_bias_residual(middle, b.proj_bias->weights, residual(2 * layer) + at, n, width_);
  k.layer_norm(middle, b.norm2_gain->weights, b.norm2_bias->weights, n, width_,
               norm(2 * layer + 1) + at, statistics(2 * layer + 1) + 2 * rows.begin);
  team_.multiply(thread, product(n, 4 * width_, width_, norm(2 * layer + 1) + at, width_,
                                 b.fc->weights, 4 * width_, hidden(layer) + 4 * at, 4 * width_));
  k.bias_gelu(hidden(layer) + 4 * at, b.fc_bias->weights, n, 4 * width_, activated(layer) + 4 * at);
  float* const y = residual(2 * layer + 2) + at;
  team_.multiply(thread, product(n, width_, 4 * width_, activated(layer) + 4 * at, 4 * width_,
                                 b.out->weights, width_, y, width_));
  k.add_bias_residual(y, b.out_bias->weights, middle, n, width_);
}

void Gpt::head(std::uint32_t thread, const Rows& rows, float weight) {
  const std::size_t n = rows.size();
  const std::size_t at = rows.begin * width_;
  float* const logits = logits_ + rows.begin * vocabulary_;
  team_.kernels().layer_norm(residual(2 * layers_) + at, final_gain_->weights, final_bias_->weights,
                             n, width_, norm(2 * layers_) + at,
                             statistics(2 * layers_) + 2 * rows.begin);
  team_.multiply(thread, times_transposed(n, vocabulary_, width_, norm(2 * layers_) + at, width_,
                                          wte_->weights, width_, logits, vocabulary_));
  losses_[thread * kLossStride] =
      team_.kernels().cross_entropy(logits, targets_ + rows.begin, n, vocabulary_, weight);
}

double Gpt::forward(std::uint64_t samples, float weight) {
  const std::uint64_t rows = samples * context_;
  for (std::size_t layer = 0; layer < layers_; ++layer) {
    team_.run([&](std::uint32_t thread) {
      const Rows own = rows_of(thread, rows);
      if (layer == 0) {
        embed(own);
      } else {
        after_attention(thread, layer - 1, own);
      }
      before_attention(thread, layer, own);
    });
    team_.run([&](std::uint32_t thread) { attention(thread, layer, samples); });
  }
  team_.run([&](std::uint32_t thread) {
    const Rows own = rows_of(thread, rows);
    after_attention(thread, layers_ - 1, own);
    head(thread, own, weight);
  });
  double total = 0;
  for (std::uint32_t thread = 0; thread < team_.size(); ++thread)
    total += losses_[thread * kLossStride];
  return total;
}

double Gpt::loss(std::uint64_t samples) {
  return forward(samples, 0);
}

double Gpt::gradients(std::uint64_t samples, float weight,
                      const std::function<void(std::size_t)>& final_from) {
  const double total = forward(samples, weight);
  const std::uint64_t rows = samples * context_;
  rotation_ = 0;
  head_backward(rows);
  final_from(final_gain_->gradient_offset);
  for (std::size_t layer = layers_; layer-- > lowest_layer_;) {
    layer_backward(layer, samples);
    final_from(blocks_[layer].norm1_gain->gradient_offset);
  }
  if (embedding_trains_) embedding_backward(rows);
  final_from(0);
  return total;
}

}  // namespace overwinter::worker
