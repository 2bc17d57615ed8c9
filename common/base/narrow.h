// The 16-bit floating-point numbers that matrices are stored in: bf16 (8 bits of exponent, 8 of
// significand) and fp16, IEEE 754's binary16 (5 and 11). They are storage: arithmetic is done in
// fp32. Rounding is to nearest, ties to even; a NaN stays one and keeps its sign and what fits of
// its payload; what is too large becomes infinity. Relative error of a conversion within the range
// of normal numbers: at most 2^-8 (bf16), 2^-11 (fp16).
#pragma once

#include <bit>
#include <cstdint>

namespace overwinter {

struct BFloat16 {
  std::uint16_t bits = 0;
  friend bool operator==(BFloat16, BFloat16) = default;  // of bits: NaN equals itself
};

struct Float16 {
  std::uint16_t bits = 0;
  friend bool operator==(Float16, Float16) = default;
};

[[nodiscard]] constexpr float to_float(BFloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16U);
}

[[nodiscard]] constexpr BFloat16 to_bfloat16(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  if ((u & 0x7fffffffU) >
      0x7f800000U) {  // the quiet bit: what is cut off may be all of the payload
    return {static_cast<std::uint16_t>((u >> 16U) | 0x40U)};
  }
  return {static_cast<std::uint16_t>((u + 0x7fffU + ((u >> 16U) & 1U)) >> 16U)};
}

// A subnormal becomes a 0 of its sign: as which processors that multiply bf16 take it.
[[nodiscard]] constexpr BFloat16 without_subnormal(BFloat16 x) {
  return (x.bits & 0x7f80U) != 0 ? x : BFloat16{static_cast<std::uint16_t>(x.bits & 0x8000U)};
}

[[nodiscard]] constexpr float to_float(Float16 x) {
  const std::uint32_t sign = (x.bits & 0x8000U) << 16U;
  const std::uint32_t exponent = (x.bits >> 10U) & 0x1fU;
  const std::uint32_t fraction = x.bits & 0x3ffU;
  if (exponent == 0) {  // zero and subnormal: a whole number of 2^-24, exact in fp32
    const float size = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -size : size;
  }
  if (exponent == 0x1fU) {
    const std::uint32_t quiet = fraction != 0 ? 0x400000U : 0;  // as processors do it
    return std::bit_cast<float>(sign | 0x7f800000U | quiet | (fraction << 13U));
  }
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (fraction << 13U));
}

[[nodiscard]] constexpr Float16 to_float16(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = (u >> 16U) & 0x8000U;
  const std::uint32_t size = u & 0x7fffffffU;
  std::uint32_t bits = 0;
  if (size > 0x7f800000U) {
    bits = 0x7e00U | ((size >> 13U) & 0x3ffU);
  } else if (size >= 0x477ff000U) {  // 65,520: halfway to what would be the next number
    bits = 0x7c00U;
  } else if (size < 0x38800000U) {
    // Below 2^-14. Fp32 numbers at 0.5 lie 2^-24 apart, as these do: the sum rounds as it should.
    bits = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5F) - 0x3f000000U;
  } else {
    bits = (size + 0xfffU + ((size >> 13U) & 1U) - 0x38000000U) >> 13U;
  }
  return {static_cast<std::uint16_t>(sign | bits)};
}

}  // namespace overwinter
