// The slow twins of this room: one value after the other, sizes taken as they are, what is not
// finite not looked at. The fast ones give the same bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/narrow.h"
#include "worker/compress/quantize.h"

namespace overwinter::worker {

void cast_slowly(std::span<const float> from, std::span<BFloat16> to);
void cast_slowly(std::span<const float> from, std::span<Float16> to);

// Sorts all. `zeros`: how many.
void prune_magnitude_slowly(std::span<const float> from, std::size_t zeros, std::span<float> to);
void prune_2_of_4_slowly(std::span<const float> from, std::span<float> to);

void quantize_int8_slowly(std::span<const float> from, MatrixSize size, Channels channels,
                          std::span<std::int8_t> to, std::span<float> scales);
void dequantize_int8_slowly(std::span<const std::int8_t> from, MatrixSize size, Channels channels,
                            std::span<const float> scales, std::span<float> to);

// Int8Linear::multiply of `rows` rows of x. size: of the weights.
void multiply_int8_slowly(std::span<const float> x, std::size_t rows,
                          std::span<const std::int8_t> weights, MatrixSize size, Channels channels,
                          std::span<const float> scales, std::span<const float> bias,
                          std::span<float> y);

}  // namespace overwinter::worker
