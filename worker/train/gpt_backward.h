// Backward of Gpt's layers. Included by gpt.cpp alone.
#pragma once

#include "worker/kernels/attention.h"
#include "worker/train/gpt.h"
#include "worker/train/products.h"

namespace overwinter::worker {

// dx = carry + the gradient through the norm of what norm_gradients_ holds. Gain's and bias's
// gradients are left in partial sums, one for each block of rows.
template <class T>
void Gpt<T>::norm_backward(const Rows& rows, const Parameter& gain, std::size_t norm,
                           const float* carry, float* dx) {
  for_parts(rows, plan::kRowBlock, [&](const Rows& part) {
    float* const sums = partials_ + part.begin / plan::kRowBlock * 2 * partial_stride_;
    std::fill_n(sums, 2 * partial_stride_, 0.0F);
    const std::size_t at = part.begin * width_;
    kernels_.layer_norm_backward(norm_gradients_ + at, residual(norm) + at, gain.weights,
                                 statistics(norm) + 2 * part.begin, part.size(), width_, carry + at,
                                 dx + at, sums, sums + partial_stride_);
  });
}

template <class T>
void Gpt<T>::add_partials(const Parameter& gain, const Parameter& bias, std::uint64_t rows) {
  for (std::uint64_t block = 0; block * plan::kRowBlock < rows; ++block) {
    const float* const sums = partials_ + block * 2 * partial_stride_;
    if (gain.gradients != nullptr) kernels_.add_bias(gain.gradients, sums, 1, width_);
    if (bias.gradients != nullptr)
      kernels_.add_bias(bias.gradients, sums + partial_stride_, 1, width_);
  }
}

template <class T>
void Gpt<T>::linear_weights(std::uint32_t thread, Parameter& w, Parameter& bias, const T* x,
                            const T* dy, std::uint64_t rows) {
  const std::size_t inputs = w.shape[0];
  const std::size_t outputs = w.shape[1];
  if (w.gradients != nullptr) {
    for_parts(own(thread, inputs), kProductRows<T>, [&](const Rows& part) {
      team_.multiply(thread, add_transposed_times(part.begin, part.size(), outputs, rows, x, inputs,
                                                  dy, outputs, w.gradients));
    });
  }
  if (bias.gradients != nullptr)
    add_column_sums(kernels_, dy, rows, outputs, plan::share_of(outputs, team_.size(), thread),
                    row_scratch(thread, 0), bias.gradients);
}

template <class T>
void Gpt<T>::mlp_backward(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  for_scratch_parts<T>(rows, [&](const Rows& part) {
    const std::size_t n = part.size();
    const std::size_t at = part.begin * width_;
    keep(residual_gradient(0) + at, n * width_, residual_factor(0) + at);
    T* const kept = hidden_gradients_ + 4 * at;
    float* const d = workplace(kept, row_scratch(thread, 0));
    team_.multiply(thread, times_transposed<T>(n, 4 * width_, width_, residual_factor(0) + at,
                                               width_, factor<T>(*b.out), width_, d, 4 * width_));
    kernels_.gelu_backward(readable(hidden(layer) + 4 * at, n * 4 * width_, row_scratch(thread, 1)),
                           d, n * 4 * width_);
    keep(d, n * 4 * width_, kept);
    team_.multiply(thread,
                   times_transposed<T>(n, width_, 4 * width_, kept, 4 * width_, factor<T>(*b.fc),
                                       4 * width_, norm_gradients_ + at, width_));
    norm_backward(part, *b.norm2_gain, 2 * layer + 1, residual_gradient(0), residual_gradient(1));
    keep(residual_gradient(1) + at, n * width_, residual_factor(1) + at);
    // From here to attention the buffer holds the gradient of what attention gave.
    team_.multiply(thread,
                   times_transposed<T>(n, width_, width_, residual_factor(1) + at, width_,
                                       factor<T>(*b.proj), width_, norm_gradients_ + at, width_));
  });
}

template <class T>
void Gpt<T>::attention_backward_of(std::uint32_t thread, std::size_t layer, std::uint64_t samples) {
  const Rows pairs = plan::share_of(samples * heads_, team_.size(), thread);
  for (std::uint64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    head_of_attention_backward(thread, layer, pair / heads_, pair % heads_);
    team_.pause(thread);
  }
}

template <class T>
void Gpt<T>::head_of_attention_backward(std::uint32_t thread, std::size_t layer,
                                        std::uint64_t sequence, std::size_t head) {
  const std::size_t size = width_ / heads_;
  const std::size_t at = sequence * context_ * 3 * width_ + head * size;
  const T* const q = qkv(layer) + at;
  T* const dq = qkv_gradients_ + at;
  const float* const dy = norm_gradients_ + sequence * context_ * width_ + head * size;
  const float* const sums = log_sums(layer, sequence, head);
  float* const scratch = attention_scratch(thread);
  if constexpr (kIsNarrow<T>) {
    float* const wide = scratch + attention_scratch_floats(context_, size, attention_rows_);
    float* const wide_dq = wide + 3 * context_ * size;
    for (std::size_t t = 0; t < context_; ++t)
      for (std::size_t part = 0; part < 3; ++part)
        widen(q + t * 3 * width_ + part * width_, size, wide + (3 * t + part) * size);
    attention_backward(kernels_, {context_, size, size, 3 * size, width_, attention_rows_}, dy,
                       wide, sums, wide_dq, scratch);
    for (std::size_t t = 0; t < context_; ++t)
      for (std::size_t part = 0; part < 3; ++part)
        narrow(wide_dq + (3 * t + part) * size, size, dq + t * 3 * width_ + part * width_);
  } else {
    attention_backward(kernels_, {context_, size, width_, 3 * width_, width_, attention_rows_}, dy,
                       q, sums, dq, scratch);
  }
}

template <class T>
void Gpt<T>::qkv_backward(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  for_scratch_parts<T>(rows, [&](const Rows& part) {
    const std::size_t at = part.begin * width_;
    team_.multiply(thread, times_transposed<T>(
                               part.size(), width_, 3 * width_, qkv_gradients_ + 3 * at, 3 * width_,
                               factor<T>(*b.qkv), 3 * width_, norm_gradients_ + at, width_));
    norm_backward(part, *b.norm1_gain, 2 * layer, residual_gradient(1), residual_gradient(2));
  });
}

template <class T>
void Gpt<T>::weights_backward(std::uint32_t thread, std::size_t layer, std::uint64_t rows) {
  const Layer& b = blocks_[layer];
  linear_weights(thread, *b.out, *b.out_bias, activated(layer), residual_factor(0), rows);
  linear_weights(thread, *b.fc, *b.fc_bias, norm(2 * layer + 1), hidden_gradients_, rows);
  linear_weights(thread, *b.proj, *b.proj_bias, attended(layer), residual_factor(1), rows);
  linear_weights(thread, *b.qkv, *b.qkv_bias, norm(2 * layer), qkv_gradients_, rows);
}

template <class T>
void Gpt<T>::layer_backward(std::size_t layer, std::uint64_t samples) {
  const Layer& b = blocks_[layer];
  const std::uint64_t rows = samples * context_;
  team_.run([&](std::uint32_t thread) { mlp_backward(thread, layer, own(thread, rows)); });
  add_partials(*b.norm2_gain, *b.norm2_bias, rows);
  team_.run([&](std::uint32_t thread) { attention_backward_of(thread, layer, samples); });
  // Below the lowest layer nothing trains: what it begins with needs no gradient.
  const bool goes_on = layer > lowest_layer_ || embedding_trains_ ||
                       b.norm1_gain->gradients != nullptr || b.norm1_bias->gradients != nullptr;
  if (goes_on) {
    team_.run([&](std::uint32_t thread) { qkv_backward(thread, layer, own(thread, rows)); });
    add_partials(*b.norm1_gain, *b.norm1_bias, rows);
  }
  team_.run([&](std::uint32_t thread) { weights_backward(thread, layer, rows); });
  rotation_ = (rotation_ + 2) % 3;  // before this layer is behind the one below
}

template <class T>
void Gpt<T>::embedding_backward(std::uint64_t rows) {
  team_.run([&](std::uint32_t thread) {
    const Rows columns = plan::share_of(width_, team_.size(), thread);
    kernels_.embed_backward(tokens_, residual_gradient(0), rows, context_, width_, columns.begin,
                            columns.end, wte_->gradients, wpe_->gradients);
  });
}

}  // namespace overwinter::worker
