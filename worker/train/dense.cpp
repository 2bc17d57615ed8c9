#include "worker/train/dense.h"

#include <algorithm>

#include "common/base/check.h"
#include "worker/train/products.h"

namespace overwinter::worker {

using plan::TrainPiece;

Dense::Dense(const plan::TrainRank& rank, Arena& arena, Parameters& parameters, ComputeTeam& team)
    : team_(team),
      widths_(rank.shape.widths),
      classes_(rank.shape.classes),
      inputs_(arena.piece<float>(TrainPiece::kInputs)),
      class_targets_(arena.piece<std::int32_t>(TrainPiece::kTargets)),
      value_targets_(arena.piece<float>(TrainPiece::kTargets)),
      losses_(arena.piece<double>(TrainPiece::kLosses)) {
  const std::span<Parameter> all = parameters.all();
  check(all.size() == 2 * (widths_.size() - 1), "the tensors of a dense model");
  float* next = arena.piece<float>(TrainPiece::kOutputs);
  for (std::size_t i = 0; i + 1 < widths_.size(); ++i) {
    layers_.push_back({&all[2 * i], &all[2 * i + 1]});
    outputs_.push_back(next);
    next += plan::train_aligned(rank.micro_batch * widths_[i + 1] * sizeof(float)) / sizeof(float);
  }
  gradients_[0] = arena.piece<float>(TrainPiece::kOutputGradients);
  gradients_[1] = gradients_[0] + arena.bytes(TrainPiece::kOutputGradients) / sizeof(float) / 2;
  const auto first =
      std::ranges::find_if(all, [](const Parameter& p) { return p.gradients != nullptr; });
  lowest_layer_ = static_cast<std::size_t>(first - all.begin()) / 2;
}

SampleSlot Dense::slot(std::uint64_t index) {
  SampleSlot slot;
  slot.values = {inputs_ + index * widths_.front(), widths_.front()};
  if (classes_) {
    slot.classes = {class_targets_ + index, 1};
  } else {
    slot.targets = {value_targets_ + index * widths_.back(), widths_.back()};
  }
  return slot;
}

std::uint64_t Dense::terms(std::uint64_t samples) const {
  return classes_ ? samples : samples * widths_.back();
}

Dense::Rows Dense::rows_of(std::uint32_t thread, std::uint64_t rows) const {
  return plan::share_of(rows, team_.size(), thread);
}

void Dense::forward_rows(std::uint32_t thread, const Rows& rows, float weight) {
  const TrainKernels& k = team_.kernels();
  const std::size_t n = rows.size();
  losses_[thread * kLossStride] = 0;
  if (n == 0) return;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const std::size_t in = widths_[i];
    const std::size_t out = widths_[i + 1];
    float* const y = outputs_[i] + rows.begin * out;
    team_.multiply(thread, times_transposed(n, out, in, input(i) + rows.begin * in, in,
                                            layers_[i].weights->weights, in, y, out));
    if (i + 1 < layers_.size()) {
      k.bias_relu(y, layers_[i].bias->weights, n, out);
    } else {
      k.add_bias(y, layers_[i].bias->weights, n, out);
    }
  }
  const std::size_t out = widths_.back();
  float* const y = outputs_.back() + rows.begin * out;
  losses_[thread * kLossStride] =
      classes_ ? k.cross_entropy(y, class_targets_ + rows.begin, n, out, weight)
               : k.squared_error(y, value_targets_ + rows.begin * out, n * out, weight);
}

double Dense::forward(std::uint64_t samples, float weight) {
  team_.run([&](std::uint32_t thread) { forward_rows(thread, rows_of(thread, samples), weight); });
  double total = 0;
  for (std::uint32_t thread = 0; thread < team_.size(); ++thread)
    total += losses_[thread * kLossStride];
  return total;
}

double Dense::loss(std::uint64_t samples) {
  return forward(samples, 0);
}

double Dense::gradients(std::uint64_t samples, float weight,
                        const std::function<void(std::size_t)>& final_from) {
  const double total = forward(samples, weight);
  float* dy = outputs_.back();  // the loss left its gradient there
  for (std::size_t i = layers_.size(); i-- > lowest_layer_;) {
    const std::size_t in = widths_[i];
    const std::size_t out = widths_[i + 1];
    const Layer& layer = layers_[i];
    float* const dx = gradients_[i % 2];
    team_.run([&](std::uint32_t thread) {
      const Rows inputs = rows_of(thread, out);
      if (layer.weights->gradients != nullptr && inputs.size() > 0)
        team_.multiply(thread, add_transposed_times(inputs.begin, inputs.size(), in, samples, dy,
                                                    out, input(i), in, layer.weights->gradients));
      if (layer.bias->gradients != nullptr)
        team_.kernels().column_sums(dy, samples, out, inputs.begin, inputs.end,
                                    layer.bias->gradients);
      const Rows own = rows_of(thread, samples);
      if (i == lowest_layer_ || own.size() == 0) return;
      team_.multiply(thread, product(own.size(), in, out, dy + own.begin * out, out,
                                     layer.weights->weights, in, dx + own.begin * in, in));
      team_.kernels().relu_backward(input(i) + own.begin * in, dx + own.begin * in,
                                    own.size() * in);
    });
    final_from(layer.weights->gradient_offset);
    dy = dx;
  }
  final_from(0);
  return total;
}

}  // namespace overwinter::worker
