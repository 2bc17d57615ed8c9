#include "worker/compress/cast.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/worker/compress/compress_cases.h"
#include "worker/compress/compress_reference.h"

namespace overwinter::worker {
namespace {

template <class To>
double error_max(double x) {
  if constexpr (std::is_same_v<To, BFloat16>) return bf16_error_max(x);
  return fp16_error_max(x);
}

template <class To>
class Cast : public ::testing::Test {};
using Types = ::testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(Cast, Types);

TYPED_TEST(Cast, IsTheTwinsAndWithinTheBound) {
  ThreadTeam team(2);
  for (const std::size_t count : kCounts) {
    for (const Floats& values :
         {normal_values(count, 1), odd_values(count, 2), normal_values(count, 3, 1e-6F)}) {
      std::vector<TypeParam> to(count);
      std::vector<TypeParam> slow(count);
      const Shape shape{count};
      ASSERT_TRUE(cast(team, tensor_of(values, shape), std::span(to)).ok());
      cast_slowly(values, std::span(slow));
      EXPECT_EQ(to, slow);
      double worst = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const auto x = static_cast<double>(values[i]);
        const double off = std::abs(static_cast<double>(to_float(to[i])) - x);
        ASSERT_LE(off, error_max<TypeParam>(x)) << values[i];
        worst = std::max(worst, off / error_max<TypeParam>(x));
      }
      if (count >= 1000) {
        EXPECT_GT(worst, 0.4) << "the bound is no loose one";
      }
      EXPECT_EQ(to.size() * sizeof(TypeParam), values.size() * sizeof(float) / 2);
    }
  }
}

TYPED_TEST(Cast, WhatIsNotFiniteIsRefusedByNameAndIndex) {
  ThreadTeam team(2);
  Floats values = normal_values(100'000, 4);
  const Shape shape{1000, 100};
  std::vector<TypeParam> to(values.size());
  values[77'031] = std::numeric_limits<float>::quiet_NaN();
  values[99'999] = std::numeric_limits<float>::infinity();
  Status refused = cast(team, tensor_of(values, shape), std::span(to));
  EXPECT_EQ(refused.code, Code::kInvalidArgument);
  EXPECT_EQ(refused.field, "h.0.weight");
  EXPECT_NE(refused.message.find("NaN at [770, 31]"), std::string::npos) << refused.message;
  values[77'031] = 0;
  refused = cast(team, tensor_of(values, shape), std::span(to));
  EXPECT_NE(refused.message.find("infinity at [999, 99]"), std::string::npos) << refused.message;
}

TYPED_TEST(Cast, SizesAreLookedAtFirst) {
  ThreadTeam team(1);
  const Floats values(6, 1.0F);
  std::vector<TypeParam> to(5);
  EXPECT_EQ(cast(team, tensor_of(values, {2, 3}), std::span(to)).code, Code::kInvalidArgument);
  to.resize(6);
  EXPECT_EQ(cast(team, tensor_of(values, {2, 2}), std::span(to)).code, Code::kInvalidArgument);
  EXPECT_TRUE(cast(team, tensor_of(values, {3, 2}), std::span(to)).ok());
}

TEST(CastRange, ANumberThatWouldBecomeInfinityIsRefused) {
  ThreadTeam team(1);
  std::vector<Float16> half(2);
  std::vector<BFloat16> brain(2);
  const Shape shape{2};
  EXPECT_TRUE(cast(team, tensor_of({1, -65519.0F}, shape), std::span(half)).ok());
  const Status refused = cast(team, tensor_of({1, -65520.0F}, shape), std::span(half));
  EXPECT_EQ(refused.code, Code::kOutOfRange);
  EXPECT_EQ(refused.field, "h.0.weight");
  EXPECT_NE(refused.message.find("-65520 at [1]"), std::string::npos) << refused.message;
  const float most = std::numeric_limits<float>::max();
  EXPECT_TRUE(cast(team, tensor_of({1, 0x1.fep127F}, shape), std::span(brain)).ok());
  EXPECT_EQ(cast(team, tensor_of({most, 1}, shape), std::span(brain)).code, Code::kOutOfRange);
}

}  // namespace
}  // namespace overwinter::worker
