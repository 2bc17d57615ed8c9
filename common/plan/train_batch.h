// How a step's samples are dealt out. A step has batch_size samples, numbered on through the whole
// training: step s has samples [s * batch_size, (s + 1) * batch_size), whatever the number of
// ranks, so a training goes on at the same sample on another number of them.
//
//   batch 8 on 3 ranks: rank 0 [0, 2), rank 1 [2, 5), rank 2 [5, 8)
#pragma once

#include <algorithm>
#include <cstdint>

namespace overwinter::plan {

struct SampleRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  [[nodiscard]] std::uint64_t size() const { return end - begin; }
};

// Part `index` of `parts` (at least 1) of `count` things: as even as whole numbers allow.
// count * parts fits 64 bits.
[[nodiscard]] constexpr SampleRange share_of(std::uint64_t count, std::uint64_t parts,
                                             std::uint64_t index) {
  return {count * index / parts, count * (index + 1) / parts};
}

// The most samples that any rank works on at once: its part of the batch, cut into `accumulate`
// micro-batches (0 is 1).
[[nodiscard]] constexpr std::uint64_t largest_micro_batch(std::uint64_t batch_size,
                                                          std::uint64_t ranks,
                                                          std::uint32_t accumulate) {
  const std::uint64_t of_rank = (batch_size + ranks - 1) / ranks;
  const std::uint64_t pieces = std::max<std::uint32_t>(accumulate, 1);
  return (of_rank + pieces - 1) / pieces;
}

}  // namespace overwinter::plan
