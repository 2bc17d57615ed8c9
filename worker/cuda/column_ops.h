// Sums over the rows of a matrix, and gradients of the embedding: without atomic additions, so that
// the same inputs give the same bits. As in row_ops.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "worker/cuda/team.h"

namespace overwinter::worker::cuda {

// A block sums 32 columns, in 4 slices of the rows, which are then added in order.
inline constexpr std::size_t kSumColumns = 32;
inline constexpr std::size_t kSumSlices = kBlockLanes / kSumColumns;

// sums[j] += the sum of value(r, j) over all rows, for columns [begin, end); Value is one of those
// below.
template <class Value>
struct SumColumns {
  Value value;
  std::size_t rows, begin, end;
  float* sums;

  [[nodiscard]] std::size_t blocks() const { return (end - begin + kSumColumns - 1) / kSumColumns; }
  static constexpr std::size_t kSharedFloats = kBlockLanes;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t block, float* shared) const {
    const std::size_t first = begin + block * kSumColumns;
    team.each(kBlockLanes, [&](std::size_t lane) {
      const std::size_t column = first + lane % kSumColumns;
      float sum = 0;
      if (column < end)
        for (std::size_t r = lane / kSumColumns; r < rows; r += kSumSlices) sum += value(r, column);
      shared[lane] = sum;
    });
    team.each(kSumColumns, [&](std::size_t lane) {
      if (first + lane >= end) return;
      float sum = 0;
      for (std::size_t s = 0; s < kSumSlices; ++s) sum += shared[s * kSumColumns + lane];
      sums[first + lane] += sum;
    });
  }
};

struct PlainValue {
  const float* d;
  std::size_t width;
  OW_BOTH float operator()(std::size_t r, std::size_t j) const { return d[r * width + j]; }
};

// Of the gradient of a norm's gain.
struct NormGainValue {
  const float *dy, *x, *statistics;
  std::size_t width;
  OW_BOTH float operator()(std::size_t r, std::size_t j) const {
    return dy[r * width + j] * ((x[r * width + j] - statistics[2 * r]) * statistics[2 * r + 1]);
  }
};

// Element i is column i % width of the words whose number leaves i / width when divided by
// kWordGroups: it looks at every token, so that each sum has one lane and one order.
inline constexpr std::size_t kWordGroups = 64;

struct EmbedWordBackward {
  const std::int32_t* tokens;
  const float* d;
  std::size_t rows, width;
  float* wte;
  OW_BOTH void operator()(std::size_t i) const {
    const std::size_t column = i % width;
    const std::size_t group = i / width;
    for (std::size_t r = 0; r < rows; ++r) {
      const auto word = static_cast<std::size_t>(tokens[r]);
      if (word % kWordGroups == group) wte[word * width + column] += d[r * width + column];
    }
  }
};

// Element i is column i % width of position i / width.
struct EmbedPlaceBackward {
  const float* d;
  std::size_t rows, context, width;
  float* wpe;
  OW_BOTH void operator()(std::size_t i) const {
    const std::size_t column = i % width;
    float sum = wpe[i];
    for (std::size_t r = i / width; r < rows; r += context) sum += d[r * width + column];
    wpe[i] = sum;
  }
};

}  // namespace overwinter::worker::cuda
