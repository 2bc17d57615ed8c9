// What a training does beside products, row by row: each operation is a small object that works on
// row `r` with a team of lanes (team.h), or on element `i` by itself. The operations are those of
// train_kernels.h and mean what they mean there; their twins are in train_reference.h. All pointers
// are the device's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "worker/cuda/team.h"
#include "worker/kernels/train_kernels.h"

namespace overwinter::worker::cuda {

inline constexpr float kNormEpsilon = 1e-5F;

struct LayerNormRow {
  const float *x, *gain, *bias;
  std::size_t width;
  float *y, *statistics;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t r) const {
    const float* const row = x + r * width;
    float* const to = y + r * width;
    const float n = static_cast<float>(width);
    const float mean = team.template sum<float>(width, [&](std::size_t j) { return row[j]; }) / n;
    const float variance = team.template sum<float>(width, [&](std::size_t j) {
      const float d = row[j] - mean;
      return d * d;
    }) / n;
    const float inverse = 1.0F / root_of(variance + kNormEpsilon);
    team.each(width, [&](std::size_t j) { to[j] = (row[j] - mean) * inverse * gain[j] + bias[j]; });
    team.once([&] {
      statistics[2 * r] = mean;
      statistics[2 * r + 1] = inverse;
    });
  }
};

// dx alone; gradients of gain and bias are sums over columns (column_ops.h). carry may be dx.
struct LayerNormBackwardRow {
  const float *dy, *x, *gain, *statistics;
  std::size_t width;
  const float* carry;
  float* dx;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t r) const {
    const std::size_t at = r * width;
    const float n = static_cast<float>(width);
    const float mean = statistics[2 * r];
    const float inverse = statistics[2 * r + 1];
    const auto g = [&](std::size_t j) { return dy[at + j] * gain[j]; };
    const auto h = [&](std::size_t j) { return (x[at + j] - mean) * inverse; };
    const float mean_g = team.template sum<float>(width, g) / n;
    const float mean_gh =
        team.template sum<float>(width, [&](std::size_t j) { return g(j) * h(j); }) / n;
    team.each(width, [&](std::size_t j) {
      dx[at + j] = carry[at + j] + inverse * (g(j) - mean_g - h(j) * mean_gh);
    });
  }
};

// The row's loss goes to losses[r]. With weight above 0 logits become gradients.
struct CrossEntropyRow {
  float* logits;
  const std::int32_t* targets;
  std::size_t classes;
  float weight;
  double* losses;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t r) const {
    float* const row = logits + r * classes;
    const auto target = static_cast<std::size_t>(targets[r]);
    const float most = team.largest(classes, [&](std::size_t j) { return row[j]; });
    const float sum =
        team.template sum<float>(classes, [&](std::size_t j) { return exp_of(row[j] - most); });
    team.once([&] { losses[r] = static_cast<double>(log_of(sum) + (most - row[target])); });
    if (weight <= 0) return;
    const float scale = weight / sum;
    team.each(classes, [&](std::size_t j) {
      row[j] = exp_of(row[j] - most) * scale - (j == target ? weight : 0.0F);
    });
  }
};

struct EmbedRow {
  const std::int32_t* tokens;
  const float *wte, *wpe;
  std::size_t first, context, width;
  float* y;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t r) const {
    const float* const word = wte + static_cast<std::size_t>(tokens[r]) * width;
    const float* const place = wpe + (first + r) % context * width;
    team.each(width, [&](std::size_t j) { y[r * width + j] = word[j] + place[j]; });
  }
};

// How many partial sums a sum over all elements has: one a team, element i in number
// i / 32 % kPartialSums. The host adds them, in order.
inline constexpr std::size_t kPartialSums = 512;

// term(i) for all i of [0, count) that are partial sum `p`'s.
template <class Team, class Term>
OW_BOTH double partial_sum(const Team& team, std::size_t p, std::size_t count, const Term& term) {
  constexpr std::size_t kStep = kPartialSums * kRowLanes;
  const std::size_t begin = p * kRowLanes;
  if (begin >= count) return 0;
  const std::size_t whole = (count - begin) / kStep;
  const std::size_t left = (count - begin) % kStep;
  const std::size_t own = whole * kRowLanes + (left < kRowLanes ? left : kRowLanes);
  return team.template sum<double>(
      own, [&](std::size_t k) { return term(begin + k / kRowLanes * kStep + k % kRowLanes); });
}

struct SumOfSquares {
  const float* values;
  std::size_t count;
  double* partials;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t p) const {
    const double sum = partial_sum(team, p, count, [&](std::size_t i) {
      return static_cast<double>(values[i]) * static_cast<double>(values[i]);
    });
    team.once([&] { partials[p] = sum; });
  }
};

struct SumOf {
  const double* values;
  std::size_t count;
  double* partials;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t p) const {
    const double sum = partial_sum(team, p, count, [&](std::size_t i) { return values[i]; });
    team.once([&] { partials[p] = sum; });
  }
};

// With weight above 0 y becomes weight times the gradient.
struct SquaredError {
  float* y;
  const float* targets;
  std::size_t count;
  float weight;
  double* partials;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t p) const {
    const double sum = partial_sum(team, p, count, [&](std::size_t i) {
      const float d = y[i] - targets[i];
      if (weight > 0) y[i] = 2 * weight * d;
      return static_cast<double>(d) * static_cast<double>(d);
    });
    team.once([&] { partials[p] = sum; });
  }
};

// delta of attention's gradient: for row r = token and head the sum of dy * y over the head's part.
struct AttentionDelta {
  const float *dy, *y;
  std::size_t heads, width;
  float* delta;

  template <class Team>
  OW_BOTH void operator()(const Team& team, std::size_t r) const {
    const std::size_t size = width / heads;
    const std::size_t at = r / heads * width + r % heads * size;
    const float sum =
        team.template sum<float>(size, [&](std::size_t j) { return dy[at + j] * y[at + j]; });
    team.once([&] { delta[r] = sum; });
  }
};

}  // namespace overwinter::worker::cuda
