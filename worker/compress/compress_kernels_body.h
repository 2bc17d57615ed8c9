// The loops of compress_kernels.h, compiled once for each instruction set: the including file sets
// OW_KERNEL_LEVEL (a namespace), OW_KERNEL (a target attribute, or nothing) and OW_VECTOR_BYTES (of
// a register) before. Included by compress_kernels_LEVEL.cpp alone.
//
// Plain loops, which GCC turns into vectors at -O3; products are not fused with sums
// (-ffp-contract=off), so that every level gives the same bits.
#pragma once

#include <cstring>

#include "worker/compress/compress_kernels.h"

namespace overwinter::worker::OW_KERNEL_LEVEL {

#define OW_INLINE OW_KERNEL inline __attribute__((always_inline))

constexpr std::uint32_t kWithoutSign = 0x7fffffffU;
// 1.5 * 2^23: a number below 2^22 loses its fraction when it is added, to nearest, ties to even.
constexpr float kToWhole = 12582912.0F;

OW_INLINE std::uint32_t size_bits(const float* x) {
  std::uint32_t bits;
  std::memcpy(&bits, x, sizeof(bits));
  return bits & kWithoutSign;
}

// As int32 the order is the same, and there are instructions for it.
OW_KERNEL std::uint32_t largest(const float* x, std::size_t count) {
  std::int32_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto size = static_cast<std::int32_t>(size_bits(x + i));
    most = most > size ? most : size;
  }
  return static_cast<std::uint32_t>(most);
}

OW_KERNEL void largest_of_columns(const float* x, std::size_t rows, std::size_t stride,
                                  std::size_t width, std::uint32_t* __restrict largest) {
  for (std::size_t r = 0; r < rows; ++r, x += stride) {
    for (std::size_t j = 0; j < width; ++j) {
      const auto size = static_cast<std::int32_t>(size_bits(x + j));
      const auto most = static_cast<std::int32_t>(largest[j]);
      largest[j] = static_cast<std::uint32_t>(most > size ? most : size);
    }
  }
}

OW_INLINE std::int8_t whole(float x) {
  return static_cast<std::int8_t>(static_cast<std::int32_t>((x + kToWhole) - kToWhole));
}

OW_KERNEL void quantize(const float* __restrict x, std::size_t count, float inverse,
                        std::int8_t* __restrict q) {
  for (std::size_t i = 0; i < count; ++i) q[i] = whole(x[i] * inverse);
}

OW_KERNEL void quantize_columns(const float* __restrict x, std::size_t width,
                                const float* __restrict inverses, std::int8_t* __restrict q) {
  for (std::size_t j = 0; j < width; ++j) q[j] = whole(x[j] * inverses[j]);
}

OW_KERNEL void dequantize(const std::int8_t* __restrict q, std::size_t count, float scale,
                          float* __restrict x) {
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(q[i]) * scale;
}

OW_KERNEL void dequantize_columns(const std::int8_t* __restrict q, std::size_t width,
                                  const float* __restrict scales, float* __restrict x) {
  for (std::size_t j = 0; j < width; ++j) x[j] = static_cast<float>(q[j]) * scales[j];
}

OW_KERNEL void scale_sums(const std::int32_t* __restrict sums, std::size_t width, float row_scale,
                          const float* __restrict scales, const float* __restrict bias,
                          float* __restrict y) {
  if (bias == nullptr) {
    for (std::size_t j = 0; j < width; ++j)
      y[j] = static_cast<float>(sums[j]) * row_scale * scales[j];
    return;
  }
  for (std::size_t j = 0; j < width; ++j)
    y[j] = static_cast<float>(sums[j]) * row_scale * scales[j] + bias[j];
}

OW_KERNEL void prune_below(const float* x, std::size_t count, std::uint32_t least, float* y) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto size = static_cast<std::int32_t>(size_bits(x + i));
    y[i] = size < static_cast<std::int32_t>(least) ? 0.0F : x[i];
  }
}

using Bits = std::int32_t __attribute__((vector_size(OW_VECTOR_BYTES)));
constexpr std::size_t kBits = OW_VECTOR_BYTES / sizeof(std::int32_t);

// Where the value that is `turn` places on in its four, the first coming after the last, stands
// before a value: -1 where it is larger, or equal and earlier.
template <std::int32_t turn>
OW_INLINE Bits stands_before(const Bits& sizes) {
  Bits from{};
  Bits earlier{};
  for (std::size_t i = 0; i < kBits; ++i) {
    const auto place = static_cast<std::int32_t>(i);
    from[i] = (place & ~3) | ((place + turn) & 3);
    earlier[i] = from[i] < place ? 1 : 0;
  }
  return __builtin_shuffle(sizes, from) > sizes - earlier;
}

// Fewer than two of the other three stand before it.
OW_INLINE Bits kept_of_four(const Bits& bits) {
  const Bits sizes = bits & static_cast<std::int32_t>(kWithoutSign);
  const Bits before = stands_before<1>(sizes) + stands_before<2>(sizes) + stands_before<3>(sizes);
  return bits & (before > -2);
}

OW_KERNEL void prune_fours(const float* x, std::size_t count, float* y) {
  std::size_t i = 0;
  for (; i + kBits <= count; i += kBits) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof(bits));
    bits = kept_of_four(bits);
    std::memcpy(y + i, &bits, sizeof(bits));
  }
  if (i == count) return;
  Bits bits{};
  std::memcpy(&bits, x + i, (count - i) * sizeof(float));
  bits = kept_of_four(bits);
  std::memcpy(y + i, &bits, (count - i) * sizeof(float));
}

constexpr CompressKernels table_of(std::string_view name) {
  return {name,
          largest,
          largest_of_columns,
          quantize,
          quantize_columns,
          dequantize,
          dequantize_columns,
          scale_sums,
          prune_below,
          prune_fours};
}

}  // namespace overwinter::worker::OW_KERNEL_LEVEL
