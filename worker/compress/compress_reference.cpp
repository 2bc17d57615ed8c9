#include "worker/compress/compress_reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace overwinter::worker {
namespace {

std::uint32_t without_sign(float x) {
  return std::bit_cast<std::uint32_t>(std::abs(x));
}

std::size_t channel_of(std::size_t place, MatrixSize size, Channels channels) {
  return channels == Channels::kFirst ? place / size.columns : place % size.columns;
}

}  // namespace

void cast_slowly(std::span<const float> from, std::span<BFloat16> to) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = to_bfloat16(from[i]);
}

void cast_slowly(std::span<const float> from, std::span<Float16> to) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = to_float16(from[i]);
}

void prune_magnitude_slowly(std::span<const float> from, std::size_t zeros, std::span<float> to) {
  std::vector<std::size_t> order(from.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, [&](std::size_t i, std::size_t j) { return std::abs(from[i]) < std::abs(from[j]); });
  std::ranges::copy(from, to.begin());
  for (std::size_t i = 0; i < zeros; ++i) to[order[i]] = 0;
}

void prune_2_of_4_slowly(std::span<const float> from, std::span<float> to) {
  std::vector<float> kept(from.begin(), from.end());
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t before = 0;
    for (std::size_t j = i / 4 * 4; j < i / 4 * 4 + 4; ++j) {
      const float mine = std::abs(from[i]);
      const float other = std::abs(from[j]);
      if (other > mine || (other == mine && j < i)) ++before;
    }
    if (before >= 2) kept[i] = 0;
  }
  std::ranges::copy(kept, to.begin());
}

void quantize_int8_slowly(std::span<const float> from, MatrixSize size, Channels channels,
                          std::span<std::int8_t> to, std::span<float> scales) {
  std::vector<float> largest(scales.size(), 0);
  for (std::size_t i = 0; i < from.size(); ++i) {
    float& of_channel = largest[channel_of(i, size, channels)];
    of_channel = std::max(of_channel, std::abs(from[i]));
  }
  for (std::size_t c = 0; c < scales.size(); ++c)
    scales[c] = int8_scale(without_sign(largest[c])).scale;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const Int8Scale scale = int8_scale(without_sign(largest[channel_of(i, size, channels)]));
    to[i] = static_cast<std::int8_t>(std::nearbyint(from[i] * scale.inverse));
  }
}

void dequantize_int8_slowly(std::span<const std::int8_t> from, MatrixSize size, Channels channels,
                            std::span<const float> scales, std::span<float> to) {
  for (std::size_t i = 0; i < from.size(); ++i)
    to[i] = static_cast<float>(from[i]) * scales[channel_of(i, size, channels)];
}

void multiply_int8_slowly(std::span<const float> x, std::size_t rows,
                          std::span<const std::int8_t> weights, MatrixSize size, Channels channels,
                          std::span<const float> scales, std::span<const float> bias,
                          std::span<float> y) {
  const bool first = channels == Channels::kFirst;
  const std::size_t k = first ? size.columns : size.rows;
  const std::size_t n = first ? size.rows : size.columns;
  std::vector<std::int8_t> q(x.size());
  std::vector<float> row_scales(rows);
  quantize_int8_slowly(x, {rows, k}, Channels::kFirst, q, row_scales);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      std::int64_t sum = 0;
      for (std::size_t l = 0; l < k; ++l)
        sum += std::int64_t{q[i * k + l]} * weights[first ? j * k + l : l * n + j];
      const float scaled = static_cast<float>(sum) * row_scales[i] * scales[j];
      y[i * n + j] = bias.empty() ? scaled : scaled + bias[j];
    }
  }
}

}  // namespace overwinter::worker
