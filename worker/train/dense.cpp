#include "worker/train/dense.h"

#include "common/base/check.h"
#include "worker/train/products.h"

namespace overwinter::worker {

using plan::TrainPiece;

template <class T>
Dense<T>::Dense(const plan::TrainRank& rank, Arena& arena, Parameters& parameters,
                ComputeTeam& team)
    : team_(team),
      parameters_(parameters),
      widths_(rank.shape.widths),
      classes_(rank.shape.classes),
      inputs_(arena.piece<float>(TrainPiece::kInputs)),
      input_factors_(arena.piece<T>(kIsNarrow<T> ? TrainPiece::kInputCopies : TrainPiece::kInputs)),
      class_targets_(arena.piece<std::int32_t>(TrainPiece::kTargets)),
      value_targets_(arena.piece<float>(TrainPiece::kTargets)),
      losses_(arena.piece<double>(TrainPiece::kLosses)),
      row_scratch_(arena.piece<float>(TrainPiece::kRowScratch)),
      row_stride_(arena.bytes(TrainPiece::kRowScratch) / sizeof(float) / 2 / team.size()) {
  const std::span<Parameter> all = parameters.all();
  check(all.size() == 2 * (widths_.size() - 1), "the tensors of a dense model");
  T* next = arena.piece<T>(TrainPiece::kOutputs);
  for (std::size_t i = 0; i + 1 < widths_.size(); ++i) {
    layers_.push_back({&all[2 * i], &all[2 * i + 1]});
    outputs_.push_back(next);
    next += plan::train_aligned(rank.micro_batch * widths_[i + 1] * sizeof(T)) / sizeof(T);
  }
  if constexpr (kIsNarrow<T>)
    last_outputs_ = arena.piece<float>(TrainPiece::kLastOutputs);
  else
    last_outputs_ = outputs_.back();
  gradients_[0] = arena.piece<T>(TrainPiece::kOutputGradients);
  gradients_[1] = gradients_[0] + arena.bytes(TrainPiece::kOutputGradients) / sizeof(T) / 2;
  const auto first =
      std::ranges::find_if(all, [](const Parameter& p) { return p.gradients != nullptr; });
  lowest_layer_ = static_cast<std::size_t>(first - all.begin()) / 2;
}

template <class T>
SampleSlot Dense<T>::slot(std::uint64_t index) {
  SampleSlot slot;
  slot.values = {inputs_ + index * widths_.front(), widths_.front()};
  if (classes_) {
    slot.classes = {class_targets_ + index, 1};
  } else {
    slot.targets = {value_targets_ + index * widths_.back(), widths_.back()};
  }
  return slot;
}

template <class T>
std::uint64_t Dense<T>::terms(std::uint64_t samples) const {
  return classes_ ? samples : samples * widths_.back();
}

template <class T>
void Dense<T>::weights_changed(bool all) {
  stale_ = true;
  all_stale_ = all_stale_ || all;
}

// The loss's terms of these rows; with a weight their gradient is left where the outputs were.
template <class T>
void Dense<T>::loss_of(const Rows& rows, float weight) {
  const TrainKernels& k = team_.kernels();
  const std::size_t out = widths_.back();
  for_parts(rows, plan::kRowBlock, [&](const Rows& part) {
    float* const y = last_outputs_ + part.begin * out;
    losses_[part.begin / plan::kRowBlock] =
        classes_ ? k.cross_entropy(y, class_targets_ + part.begin, part.size(), out, weight)
                 : k.squared_error(y, value_targets_ + part.begin * out, part.size() * out, weight);
  });
  if (weight > 0)
    keep(last_outputs_ + rows.begin * out, rows.size() * out, outputs_.back() + rows.begin * out);
}

template <class T>
void Dense<T>::forward_rows(std::uint32_t thread, const Rows& rows, float weight) {
  const TrainKernels& k = team_.kernels();
  for_scratch_parts<T>(rows, [&](const Rows& part) {
    const std::size_t n = part.size();
    keep(inputs_ + part.begin * widths_.front(), n * widths_.front(),
         input_factors_ + part.begin * widths_.front());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const std::size_t in = widths_[i];
      const std::size_t out = widths_[i + 1];
      const bool last = i + 1 == layers_.size();
      T* const kept = outputs_[i] + part.begin * out;
      float* const y =
          last ? last_outputs_ + part.begin * out : workplace(kept, row_scratch(thread, 0));
      team_.multiply(thread, times_transposed<T>(n, out, in, input(i) + part.begin * in, in,
                                                 factor<T>(*layers_[i].weights), in, y, out));
      if (last) {
        k.add_bias(y, layers_[i].bias->weights, n, out);
      } else {
        k.bias_relu(y, layers_[i].bias->weights, n, out);
        keep(y, n * out, kept);
      }
    }
  });
  loss_of(rows, weight);
}

template <class T>
double Dense<T>::forward(std::uint64_t samples, float weight) {
  if (stale_) copy_weights<T>(team_, parameters_, all_stale_);
  stale_ = all_stale_ = false;
  team_.run([&](std::uint32_t thread) { forward_rows(thread, own(thread, samples), weight); });
  double total = 0;
  for (std::uint64_t block = 0; block * plan::kRowBlock < samples; ++block) total += losses_[block];
  return total;
}

template <class T>
double Dense<T>::loss(std::uint64_t samples) {
  return forward(samples, 0);
}

// The thread's share of the layer's weights' gradients, and of dx unless nothing below trains.
template <class T>
void Dense<T>::layer_backward(std::uint32_t thread, std::size_t layer, std::uint64_t samples,
                              const T* dy, T* dx) {
  const TrainKernels& k = team_.kernels();
  const std::size_t in = widths_[layer];
  const std::size_t out = widths_[layer + 1];
  Parameter& weights = *layers_[layer].weights;
  Parameter& bias = *layers_[layer].bias;
  const Rows outputs = own(thread, out);
  if (weights.gradients != nullptr) {
    for_parts(outputs, kProductRows<T>, [&](const Rows& part) {
      team_.multiply(thread, add_transposed_times<T>(part.begin, part.size(), in, samples, dy, out,
                                                     input(layer), in, weights.gradients));
    });
  }
  if (bias.gradients != nullptr)
    add_column_sums(k, dy, samples, out, outputs, row_scratch(thread, 0), bias.gradients);
  if (layer == lowest_layer_) return;
  for_scratch_parts<T>(own(thread, samples), [&](const Rows& part) {
    const std::size_t n = part.size();
    T* const kept = dx + part.begin * in;
    float* const d = workplace(kept, row_scratch(thread, 0));
    team_.multiply(
        thread, product<T>(n, in, out, dy + part.begin * out, out, factor<T>(weights), in, d, in));
    k.relu_backward(readable(input(layer) + part.begin * in, n * in, row_scratch(thread, 1)), d,
                    n * in);
    keep(d, n * in, kept);
  });
}

template <class T>
double Dense<T>::gradients(std::uint64_t samples, float weight,
                           const std::function<void(std::size_t)>& final_from) {
  const double total = forward(samples, weight);
  const T* dy = outputs_.back();  // the loss left its gradient there
  for (std::size_t i = layers_.size(); i-- > lowest_layer_;) {
    T* const dx = gradients_[i % 2];
    team_.run([&](std::uint32_t thread) { layer_backward(thread, i, samples, dy, dx); });
    final_from(layers_[i].weights->gradient_offset);
    dy = dx;
  }
  final_from(0);
  return total;
}

template class Dense<float>;
template class Dense<BFloat16>;
template class Dense<Float16>;

}  // namespace overwinter::worker
