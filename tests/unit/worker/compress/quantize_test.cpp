#include "worker/compress/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "tests/unit/worker/compress/compress_cases.h"
#include "worker/compress/compress_reference.h"

namespace overwinter::worker {
namespace {

constexpr Channels kBoth[] = {Channels::kFirst, Channels::kLast};

const Shape kShapes[] = {{1},    {0, 5},    {5, 0},     {1, 1},      {3, 7},      {16, 16},
                         {1000}, {700, 33}, {2, 3, 10}, {129, 1030}, {4, 20'000}, {20'000, 4}};

std::size_t product(const Shape& shape) {
  std::size_t count = 1;
  for (const std::size_t size : shape) count *= size;
  return count;
}

TEST(QuantizeInt8, IsTheTwinsAndWithinHalfAStep) {
  for (const std::uint32_t threads : {1U, 3U}) {
    ThreadTeam team(threads);
    for (const Shape& shape : kShapes) {
      const std::size_t count = product(shape);
      for (const Floats& values :
           {normal_values(count, 1), odd_values(count, 2), normal_values(count, 3, 1e-30F)}) {
        for (const Channels channels : kBoth) {
          const Tensor<const float> from = tensor_of(values, shape);
          const MatrixSize size = matrix_size("w", shape, channels).value();
          Floats scales(channel_count(size, channels));
          Floats slow_scales(scales.size());
          std::vector<std::int8_t> q(count);
          std::vector<std::int8_t> slow(count);
          ASSERT_TRUE(quantize_int8(team, from, channels, q, scales).ok());
          quantize_int8_slowly(values, size, channels, slow, slow_scales);
          ASSERT_EQ(q, slow);
          ASSERT_EQ(scales, slow_scales);
          Floats back(count);
          Floats slow_back(count);
          const Tensor<const std::int8_t> narrow{"w", shape, q};
          ASSERT_TRUE(dequantize_int8(team, narrow, channels, scales, back).ok());
          dequantize_int8_slowly(q, size, channels, scales, slow_back);
          ASSERT_EQ(back, slow_back);
          for (std::size_t i = 0; i < count; ++i) {
            const std::size_t c =
                channels == Channels::kFirst ? i / size.columns : i % size.columns;
            ASSERT_LE(std::abs(static_cast<double>(values[i]) - static_cast<double>(back[i])),
                      kInt8ErrorSteps * static_cast<double>(scales[c]) + 1.5e-36)
                << values[i];
            ASSERT_NE(q[i], -128);
          }
          EXPECT_EQ(q.size() + scales.size() * sizeof(float),
                    values.size() * sizeof(float) / 4 + 4 * channel_count(size, channels));
        }
      }
    }
  }
}

// The worst that fp32 makes of a step: every mantissa of the largest, values at the halves.
TEST(QuantizeInt8, TheBoundHoldsAtEveryHalf) {
  ThreadTeam team(1);
  std::mt19937 random(9);
  for (int i = 0; i < 2000; ++i) {
    const float largest =
        std::bit_cast<float>(0x3f800000U + static_cast<std::uint32_t>(random() & 0x7fffffU));
    Floats values{largest, -largest};
    for (int half = -253; half <= 253; half += 2) {
      const auto at = static_cast<float>(half) / 254.0F * largest;
      for (const float towards : {-10.0F, 10.0F}) {
        values.push_back(at);
        values.push_back(std::nextafter(at, towards));
      }
    }
    std::vector<std::int8_t> q(values.size());
    float scale = 0;
    ASSERT_TRUE(quantize_int8(team, tensor_of(values, {1, values.size()}), Channels::kFirst, q,
                              std::span(&scale, 1))
                    .ok());
    for (std::size_t j = 0; j < values.size(); ++j) {
      const double off = std::abs(static_cast<double>(values[j]) -
                                  static_cast<double>(static_cast<float>(q[j]) * scale));
      ASSERT_LE(off, kInt8ErrorSteps * static_cast<double>(scale));
    }
  }
}

TEST(QuantizeInt8, AChannelThatIsTooSmallBecomesZeros) {
  ThreadTeam team(1);
  const Floats values{1e-37F, -1e-40F, 0, 1e-35F, 2e-36F, 0};
  std::vector<std::int8_t> q(6, 9);
  Floats scales(2, 9);
  ASSERT_TRUE(quantize_int8(team, tensor_of(values, {2, 3}), Channels::kFirst, q, scales).ok());
  EXPECT_EQ(q, (std::vector<std::int8_t>{0, 0, 0, 127, 25, 0}));
  EXPECT_EQ(scales[0], 0);
  EXPECT_GT(scales[1], 0);
}

TEST(QuantizeInt8, WhatIsNotFiniteIsRefusedByNameAndIndex) {
  ThreadTeam team(2);
  for (const Channels channels : kBoth) {
    Floats values = normal_values(200'000, 4);
    const Shape shape{200, 1000};
    std::vector<std::int8_t> q(values.size());
    Floats scales(channels == Channels::kFirst ? 200 : 1000);
    values[150'007] = std::numeric_limits<float>::infinity();
    values[99'013] = std::numeric_limits<float>::quiet_NaN();
    const Status refused = quantize_int8(team, tensor_of(values, shape), channels, q, scales);
    EXPECT_EQ(refused.code, Code::kInvalidArgument);
    EXPECT_EQ(refused.field, "h.0.weight");
    EXPECT_NE(refused.message.find("NaN at [99, 13]"), std::string::npos) << refused.message;
  }
}

TEST(QuantizeInt8, SizesAreLookedAtFirst) {
  ThreadTeam team(1);
  const Floats values(6, 1.0F);
  std::vector<std::int8_t> q(6);
  Floats scales(2);
  const auto code = [&](const Shape& shape, Channels channels) {
    return quantize_int8(team, tensor_of(values, shape), channels, q, scales).code;
  };
  EXPECT_EQ(code({2, 3}, Channels::kFirst), Code::kOk);
  EXPECT_EQ(code({3, 2}, Channels::kLast), Code::kOk);
  EXPECT_EQ(code({2, 3}, Channels::kLast), Code::kInvalidArgument);
  EXPECT_EQ(code({2, 2}, Channels::kFirst), Code::kInvalidArgument);
  EXPECT_EQ(code({}, Channels::kFirst), Code::kInvalidArgument);
  const std::size_t huge = std::size_t{1} << 40U;
  EXPECT_FALSE(matrix_size("w", Shape{huge, huge}, Channels::kFirst).has_value());
}

}  // namespace
}  // namespace overwinter::worker
