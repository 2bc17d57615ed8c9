// Weights as int8 with one scale for each channel: w is about scale * q, q from -127 to 127, zero
// is 0 (symmetric, per channel: Krishnamoorthi, Quantizing deep convolutional networks for
// efficient inference, 2018, arXiv:1806.08342, §2.2 and 3.1). scale = the largest magnitude of the
// channel / 127.
//
// Error: |w - scale q| <= kInt8ErrorSteps * scale. It is half a step, by rounding to nearest, and
// what the arithmetic in fp32 adds: scale, its inverse and the product with it are off by 2^-24
// each, of at most 127 steps: together below 2^-15 of a step. A channel whose scale would be no
// normal number (its largest is below 1.5e-36) becomes zeros with the scale 0, so its error is that
// largest.
#pragma once

#include <cstdint>
#include <span>

#include "worker/compress/tensor.h"

namespace overwinter::worker {

inline constexpr double kInt8ErrorSteps = 0.5 + 0x1p-15;

// Which dimension counts channels: the first (a row each: out x in, as torch.nn.Linear has it) or
// the last (a column each: in x out, as products of this house have it).
enum class Channels : std::uint8_t { kFirst, kLast };

// The tensor as channels see it: kFirst: rows of the first dimension; kLast: columns of the last.
// INVALID_ARGUMENT for a tensor without dimensions, and as count_of.
[[nodiscard]] Result<MatrixSize> matrix_size(std::string_view name,
                                             std::span<const std::size_t> shape, Channels channels);
[[nodiscard]] constexpr std::size_t channel_count(MatrixSize size, Channels channels) {
  return channels == Channels::kFirst ? size.rows : size.columns;
}

// `to` holds as many values as `from`, `scales` one of each channel. INVALID_ARGUMENT, with the
// tensor's name: sizes that differ; NaN and infinity, with the first index: what `to` and `scales`
// hold is then unspecified. Channels that are rows are read once where one fits the processor's
// second cache, columns twice. One caller a team at a time.
Status quantize_int8(ThreadTeam& team, const Tensor<const float>& from, Channels channels,
                     std::span<std::int8_t> to, std::span<float> scales);

// Back: scale * q, rounded once. Sizes as above.
Status dequantize_int8(ThreadTeam& team, const Tensor<const std::int8_t>& from, Channels channels,
                       std::span<const float> scales, std::span<float> to);

// The scale for a channel whose largest magnitude has these bits (without a sign), and what it is
// multiplied by: 1 / scale, or 0.
struct Int8Scale {
  float scale = 0;
  float inverse = 0;
};
[[nodiscard]] Int8Scale int8_scale(std::uint32_t largest_bits);

}  // namespace overwinter::worker
