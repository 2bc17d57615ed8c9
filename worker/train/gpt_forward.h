// Forward of Gpt. Included by gpt.cpp alone.
#pragma once

#include "worker/kernels/attention.h"
#include "worker/train/gpt.h"
#include "worker/train/products.h"

namespace overwinter::worker {

template <class T>
void Gpt<T>::embed(const Rows& rows) {
  kernels_.embed(tokens_ + rows.begin, wte_->weights, wpe_->weights, rows.size(), rows.begin,
                 context_, width_, residual(0) + rows.begin * width_);
}

template <class T>
void Gpt<T>::norm_first(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  for_scratch_parts<T>(rows, [&](const Rows& part) {
    const std::size_t at = part.begin * width_;
    T* const kept = norm(2 * layer) + at;
    float* const y = workplace(kept, row_scratch(thread, 0));
    kernels_.layer_norm(residual(2 * layer) + at, b.norm1_gain->weights, b.norm1_bias->weights,
                        part.size(), width_, y, statistics(2 * layer) + 2 * part.begin);
    keep(y, part.size() * width_, kept);
  });
}

template <class T>
void Gpt<T>::qkv_of(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  for_scratch_parts<T>(rows, [&](const Rows& part) {
    const std::size_t n = part.size();
    T* const kept = qkv(layer) + part.begin * 3 * width_;
    float* const y = workplace(kept, row_scratch(thread, 0));
    team_.multiply(thread, product(n, 3 * width_, width_, norm(2 * layer) + part.begin * width_,
                                   width_, factor<T>(*b.qkv), 3 * width_, y, 3 * width_));
    kernels_.add_bias(y, b.qkv_bias->weights, n, 3 * width_);
    keep(y, n * 3 * width_, kept);
  });
}

template <class T>
void Gpt<T>::attention(std::uint32_t thread, std::size_t layer, std::uint64_t samples) {
  const Rows pairs = plan::share_of(samples * heads_, team_.size(), thread);
  for (std::uint64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    attention_of(thread, layer, pair / heads_, pair % heads_);
    team_.pause(thread);
  }
}

template <class T>
void Gpt<T>::attention_of(std::uint32_t thread, std::size_t layer, std::uint64_t sequence,
                          std::size_t head) {
  const std::size_t size = width_ / heads_;
  const T* const q = qkv(layer) + sequence * context_ * 3 * width_ + head * size;
  T* const y = attended(layer) + sequence * context_ * width_ + head * size;
  float* const sums = log_sums(layer, sequence, head);
  float* const scratch = attention_scratch(thread);
  if constexpr (kIsNarrow<T>) {
    float* const wide =
        scratch + attention_scratch_floats(context_, size, attention_rows_);  // a row: q, k, v
    float* const wide_y = wide + 3 * context_ * size;
    for (std::size_t t = 0; t < context_; ++t)
      for (std::size_t part = 0; part < 3; ++part)
        widen(q + t * 3 * width_ + part * width_, size, wide + (3 * t + part) * size);
    attention_forward(kernels_, {context_, size, size, 3 * size, size, attention_rows_}, wide,
                      wide_y, sums, scratch);
    for (std::size_t t = 0; t < context_; ++t) narrow(wide_y + t * size, size, y + t * width_);
  } else {
    attention_forward(kernels_, {context_, size, width_, 3 * width_, width_, attention_rows_}, q, y,
                      sums, scratch);
  }
}

// From what attention gave to what the layer's last product takes.
template <class T>
void Gpt<T>::until_activated(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  for_scratch_parts<T>(rows, [&](const Rows& part) {
    const std::size_t n = part.size();
    const std::size_t at = part.begin * width_;
    float* const middle = residual(2 * layer + 1) + at;
    team_.multiply(thread, product(n, width_, width_, attended(layer) + at, width_,
                                   factor<T>(*b.proj), width_, middle, width_));
    T* const kept_norm = norm(2 * layer + 1) + at;
    float* const normed = workplace(kept_norm, row_scratch(thread, 0));
    kernels_.residual_norm(middle, b.proj_bias->weights, residual(2 * layer) + at,
                           b.norm2_gain->weights, b.norm2_bias->weights, n, width_, normed,
                           statistics(2 * layer + 1) + 2 * part.begin);
    keep(normed, n * width_, kept_norm);
    T* const kept_hidden = hidden(layer) + 4 * at;
    T* const kept_activated = activated(layer) + 4 * at;
    float* const before = workplace(kept_hidden, row_scratch(thread, 0));
    float* const behind = workplace(kept_activated, row_scratch(thread, 1));
    team_.multiply(thread, product(n, 4 * width_, width_, kept_norm, width_, factor<T>(*b.fc),
                                   4 * width_, before, 4 * width_));
    kernels_.bias_gelu(before, b.fc_bias->weights, n, 4 * width_, behind);
    keep(before, n * 4 * width_, kept_hidden);
    keep(behind, n * 4 * width_, kept_activated);
  });
}

// The layer's last product, and the norm that the next layer, or the head, begins with.
template <class T>
void Gpt<T>::out_of(std::uint32_t thread, std::size_t layer, const Rows& rows) {
  const Layer& b = blocks_[layer];
  const bool last = layer + 1 == layers_;
  const Parameter& gain = last ? *final_gain_ : *blocks_[layer + 1].norm1_gain;
  const Parameter& bias = last ? *final_bias_ : *blocks_[layer + 1].norm1_bias;
  for_scratch_parts<T>(rows, [&](const Rows& part) {
    const std::size_t n = part.size();
    const std::size_t at = part.begin * width_;
    float* const y = residual(2 * layer + 2) + at;
    team_.multiply(thread, product(n, width_, 4 * width_, activated(layer) + 4 * at, 4 * width_,
                                   factor<T>(*b.out), width_, y, width_));
    T* const kept = norm(2 * layer + 2) + at;
    float* const normed = workplace(kept, row_scratch(thread, 0));
    kernels_.residual_norm(y, b.out_bias->weights, residual(2 * layer + 1) + at, gain.weights,
                           bias.weights, n, width_, normed,
                           statistics(2 * layer + 2) + 2 * part.begin);
    keep(normed, n * width_, kept);
  });
}

template <class T>
void Gpt<T>::forward(std::uint64_t samples) {
  const std::uint64_t rows = samples * context_;
  if (stale_) copy_weights<T>(team_, parameters_, all_stale_);
  stale_ = all_stale_ = false;
  for (std::size_t layer = 0; layer < layers_; ++layer) {
    team_.run([&](std::uint32_t thread) {
      const Rows mine = own(thread, rows);
      if (layer == 0) {
        embed(mine);
        norm_first(thread, 0, mine);
      } else {
        until_activated(thread, layer - 1, mine);
        out_of(thread, layer - 1, mine);
      }
      qkv_of(thread, layer, mine);
    });
    team_.run([&](std::uint32_t thread) { attention(thread, layer, samples); });
  }
  team_.run([&](std::uint32_t thread) {
    const Rows mine = own(thread, rows);
    until_activated(thread, layers_ - 1, mine);
    out_of(thread, layers_ - 1, mine);
  });
}

// All that backward needs of a layer, from what it began with.
template <class T>
void Gpt<T>::make_again(std::size_t layer, std::uint64_t samples) {
  const std::uint64_t rows = samples * context_;
  team_.run([&](std::uint32_t thread) {
    const Rows mine = own(thread, rows);
    norm_first(thread, layer, mine);
    qkv_of(thread, layer, mine);
  });
  team_.run([&](std::uint32_t thread) { attention(thread, layer, samples); });
  team_.run([&](std::uint32_t thread) { until_activated(thread, layer, own(thread, rows)); });
}

}  // namespace overwinter::worker
