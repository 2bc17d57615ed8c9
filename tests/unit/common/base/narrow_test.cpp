// The conversions against a slow twin: the nearest of all numbers of the type, by search.
#include "common/base/narrow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace overwinter {
namespace {

// What a type's bits mean, by its definition: exponent and fraction as numbers.
double meaning(std::uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> fraction_bits;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

// Sizes in order are bits in order. Infinity stands where the next number would.
std::uint16_t nearest(float x, int exponent_bits) {
  const auto infinity =
      static_cast<std::uint16_t>(((1 << exponent_bits) - 1) << (15 - exponent_bits));
  const auto size = [&](int bits) {
    if (bits < infinity) return meaning(static_cast<std::uint16_t>(bits), exponent_bits);
    const double last = meaning(static_cast<std::uint16_t>(infinity - 1), exponent_bits);
    return last + (last - meaning(static_cast<std::uint16_t>(infinity - 2), exponent_bits));
  };
  const double want = std::abs(static_cast<double>(x));
  int low = 0;
  int high = infinity;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (size(middle) <= want ? low : high) = middle;
  }
  const double below = want - size(low);
  const double above = size(high) - want;
  const int best = below < above || (below == above && low % 2 == 0) ? low : high;
  return static_cast<std::uint16_t>(best | (std::signbit(x) ? 0x8000 : 0));
}

std::vector<float> samples() {
  std::mt19937 random(1);
  std::vector<float> all;
  for (int i = 0; i < 200'000; ++i)
    all.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  std::uniform_real_distribution<float> near(-70'000, 70'000);
  std::uniform_real_distribution<float> small(-1e-4F, 1e-4F);
  for (int i = 0; i < 100'000; ++i) {
    all.push_back(near(random));
    all.push_back(small(random));
    // On and beside the middle of two fp16 and of two bf16 numbers.
    const auto u = static_cast<std::uint32_t>(random());
    for (const std::uint32_t half : {0x1000U, 0x8000U}) {
      for (const std::uint32_t beside : {half - 1, half, half + 1}) {
        all.push_back(std::bit_cast<float>((u & ~(2 * half - 1)) | beside));
      }
    }
  }
  for (const float x : {0.0F, -0.0F, 65504.0F, 65519.99F, 65520.0F, 3.4e38F, 0x1p-24F, 0x1p-25F,
                        0x1.8p-25F, 0x1p-149F, std::numeric_limits<float>::infinity()}) {
    all.push_back(x);
    all.push_back(-x);
  }
  return all;
}

TEST(Narrow, RoundsToTheNearestNumberAndTiesToEven) {
  for (const float x : samples()) {
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(to_float(to_bfloat16(x))));
      EXPECT_TRUE(std::isnan(to_float(to_float16(x))));
      continue;
    }
    if (std::isinf(x)) {
      EXPECT_EQ(to_float(to_bfloat16(x)), x);
      EXPECT_EQ(to_float(to_float16(x)), x);
      continue;
    }
    ASSERT_EQ(to_bfloat16(x).bits, nearest(x, 8)) << x;
    ASSERT_EQ(to_float16(x).bits, nearest(x, 5)) << x;
  }
}

TEST(Narrow, EveryNumberMeansWhatItsBitsSayAndComesBack) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    const auto b = static_cast<std::uint16_t>(bits);
    const float wide = to_float(BFloat16{b});
    const float half = to_float(Float16{b});
    if (std::isnan(meaning(b, 8))) {
      ASSERT_TRUE(std::isnan(wide));
      ASSERT_EQ(to_bfloat16(wide).bits, b | 0x40);
    } else {
      ASSERT_EQ(wide, meaning(b, 8));
      ASSERT_EQ(to_bfloat16(wide).bits, b);
    }
    if (std::isnan(meaning(b, 5))) {
      ASSERT_TRUE(std::isnan(half));
      ASSERT_EQ(to_float16(half).bits, b | 0x200);
    } else {
      ASSERT_EQ(half, meaning(b, 5));
      ASSERT_EQ(to_float16(half).bits, b);
    }
  }
}

static_assert(to_bfloat16(1.0F).bits == 0x3f80 && to_float16(1.0F).bits == 0x3c00);

}  // namespace
}  // namespace overwinter
