// The head of Gpt: logits, the loss and its gradient for so many rows at a time as
// plan::head_rows says, so that a large vocabulary's logits never exist all at once. Included by
// gpt.cpp alone.
#pragma once

#include "worker/train/gpt.h"
#include "worker/train/products.h"

namespace overwinter::worker {

// The thread's rows of a chunk: their losses, and with a weight their gradient before the norm.
template <class T>
void Gpt<T>::head_rows_of(std::uint32_t thread, const Rows& chunk, float weight) {
  const Rows mine = own(thread, chunk.size());
  const Rows rows{chunk.begin + mine.begin, chunk.begin + mine.end};
  for_parts(rows, kProductRows<T>, [&](const Rows& some) {
    const std::size_t n = some.size();
    const std::size_t at = some.begin * width_;
    float* const logits = logits_ + (some.begin - chunk.begin) * vocabulary_;
    team_.multiply(thread, times_transposed(n, vocabulary_, width_, norm(2 * layers_) + at, width_,
                                            factor<T>(*wte_), width_, logits, vocabulary_));
    for_parts(some, plan::kRowBlock, [&](const Rows& part) {
      losses_[part.begin / plan::kRowBlock] =
          kernels_.cross_entropy(logits + (part.begin - some.begin) * vocabulary_,
                                 targets_ + part.begin, part.size(), vocabulary_, weight);
    });
    if (weight <= 0) return;
    const T* slopes = nullptr;
    if constexpr (kIsNarrow<T>) {
      T* const copies = logit_copies_ + (some.begin - chunk.begin) * vocabulary_;
      narrow(logits, n * vocabulary_, copies);
      slopes = copies;
    } else {
      slopes = logits;
    }
    team_.multiply(thread, product(n, width_, vocabulary_, slopes, vocabulary_, factor<T>(*wte_),
                                   width_, norm_gradients_ + at, width_));
  });
}

template <class T>
double Gpt<T>::head(std::uint64_t rows, float weight) {
  const T* slopes = nullptr;
  if constexpr (kIsNarrow<T>)
    slopes = logit_copies_;
  else
    slopes = logits_;
  for_parts({0, rows}, head_rows_, [&](const Rows& chunk) {
    team_.run([&](std::uint32_t thread) { head_rows_of(thread, chunk, weight); });
    if (weight <= 0 || wte_->gradients == nullptr) return;
    team_.run([&](std::uint32_t thread) {
      for_parts(own(thread, vocabulary_), kProductRows<T>, [&](const Rows& words) {
        team_.multiply(thread,
                       add_transposed_times(words.begin, words.size(), width_, chunk.size(), slopes,
                                            vocabulary_, norm(2 * layers_) + chunk.begin * width_,
                                            width_, wte_->gradients));
      });
    });
  });
  double total = 0;
  for (std::uint64_t block = 0; block * plan::kRowBlock < rows; ++block) total += losses_[block];
  return total;
}

template <class T>
void Gpt<T>::head_norm_backward(std::uint64_t rows) {
  float* const behind = residual_gradient(0);
  team_.run([&](std::uint32_t thread) {
    const Rows mine = own(thread, rows);
    std::fill_n(behind + mine.begin * width_, mine.size() * width_, 0.0F);
    norm_backward(mine, *final_gain_, 2 * layers_, behind, behind);
  });
  add_partials(*final_gain_, *final_bias_, rows);
}

}  // namespace overwinter::worker
