#include "coordinator/telemetry/curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

namespace overwinter::telemetry {
namespace {

CurveValue at(std::uint64_t step, double value, AttemptNumber attempt = 1) {
  return {attempt, step, time_from_unix_ms(static_cast<std::int64_t>(step)), value};
}
bool has(const std::vector<CurveValue>& values, const CurveValue& wanted) {
  return std::find(values.begin(), values.end(), wanted) != values.end();
}

TEST(Curve, ShortOnesAreExact) {
  Curve curve;
  std::vector<CurveValue> all;
  for (std::uint64_t step = 1; step <= 500; ++step) {
    all.push_back(at(step, 1.0 / static_cast<double>(step)));
    curve.add(all.back());
  }
  EXPECT_EQ(curve.values(), all);
  EXPECT_EQ(curve.count(), 500u);
  EXPECT_EQ(*curve.last(), all.back());
  EXPECT_EQ(curve.values(499).size(), 2u);
}

TEST(Curve, LongOnesKeepEverySpikeInBoundedRoom) {
  Curve curve;
  std::mt19937_64 random(5);
  std::vector<CurveValue> spikes;
  for (std::uint64_t step = 0; step < 2'000'000; ++step) {
    const bool spike = step % 40'000 == 12'345;
    const double value =
        spike ? 1000.0 + static_cast<double>(step) * (step % 80'000 == 12'345 ? 1 : -1)
              : static_cast<double>(random() % 1000) / 1000;
    curve.add(at(step, value));
    if (spike) spikes.push_back(at(step, value));
  }
  const auto values = curve.values();
  EXPECT_LE(values.size(), 4 * Curve::kBucketsMax);
  EXPECT_TRUE(std::is_sorted(values.begin(), values.end(),
                             [](const auto& a, const auto& b) { return a.step < b.step; }));
  for (const CurveValue& spike : spikes) EXPECT_TRUE(has(values, spike)) << spike.step;
  EXPECT_EQ(values.front().step, 0u);
  EXPECT_EQ(values.back().step, 1'999'999u);
  EXPECT_EQ(curve.count(), 2'000'000u);
  // Thinner still: the largest and the smallest of all remain.
  const auto few = curve.values(0, 40);
  EXPECT_LE(few.size(), 40u);
  const auto most = std::max_element(spikes.begin(), spikes.end(),
                                     [](auto& a, auto& b) { return a.value < b.value; });
  const auto least = std::min_element(spikes.begin(), spikes.end(),
                                      [](auto& a, auto& b) { return a.value < b.value; });
  EXPECT_TRUE(has(few, *most));
  EXPECT_TRUE(has(few, *least));
}

TEST(Curve, ARestartTakesBackWhatIsDoneAgain) {
  Curve curve;
  for (std::uint64_t step = 1; step <= 10; ++step) curve.add(at(step, 1, 1));
  for (std::uint64_t step = 6; step <= 8; ++step) curve.add(at(step, 2, 2));
  const auto values = curve.values();
  ASSERT_EQ(values.size(), 8u);
  EXPECT_EQ(values[4], at(5, 1, 1));
  EXPECT_EQ(values[5], at(6, 2, 2));
  EXPECT_EQ(curve.last()->step, 8u);
  curve.add(at(7, 9, 1));  // late words of the attempt before
  EXPECT_EQ(curve.values().size(), 8u);
  // In a bucket of many steps too.
  Curve wide;
  for (std::uint64_t step = 0; step < 100'000; ++step) wide.add(at(step, 1, 1));
  wide.add(at(50'001, 2, 2));
  EXPECT_EQ(wide.last()->step, 50'001u);
  for (const CurveValue& value : wide.values()) EXPECT_LE(value.step, 50'001u);
}

TEST(Curve, APushThatIsSentAgainIsNoRestart) {
  Curve curve;
  for (std::uint64_t step = 1; step <= 20; ++step) curve.add(at(step, 1));
  for (std::uint64_t step = 11; step <= 25; ++step) curve.add(at(step, 1));
  EXPECT_EQ(curve.count(), 25U);
  EXPECT_TRUE(curve.lost().empty());
  // A program that goes back by itself does so later.
  CurveValue again = at(11, 2);
  again.time = at(26, 0).time;
  curve.add(again);
  EXPECT_EQ(curve.count(), 11U);
  EXPECT_TRUE(curve.lost().empty());
}

TEST(Curve, WhatIsNoNumberIsKept) {
  Curve curve;
  for (std::uint64_t step = 0; step < 100'000; ++step)
    curve.add(at(step, step == 777   ? std::nan("")
                       : step == 778 ? -std::numeric_limits<double>::infinity()
                                     : 0.5));
  bool nan = false, infinite = false;
  for (const CurveValue& value : curve.values()) {
    nan |= value.step == 777 && std::isnan(value.value);
    infinite |= value.step == 778 && std::isinf(value.value);
  }
  EXPECT_TRUE(nan);
  EXPECT_TRUE(infinite);
}

TEST(Curve, StepsOfAnySize) {
  Curve curve;
  for (std::uint64_t i = 0; i < 2000; ++i) curve.add(at(i << 50, 1));
  curve.add(at(~std::uint64_t{0}, 2));
  EXPECT_LE(curve.values().size(), 4 * Curve::kBucketsMax);
  EXPECT_EQ(curve.values(0, 4).back().step, ~std::uint64_t{0});
  EXPECT_TRUE(Curve().values().empty());
  EXPECT_FALSE(Curve().last());
}

TEST(Curve, MeansAreOfAllPointsAndNotBiasedAtTheStart) {
  Curve curve;
  std::array<double, 2> sums{};
  std::array<double, 2> weights{};
  std::vector<std::array<double, 2>> expected;
  std::mt19937_64 random(7);
  constexpr std::uint64_t kSteps = 20'000;  // far more than are kept
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    const double value = 5 + static_cast<double>(random() % 1000) / 1000;
    curve.add(at(step, value));
    for (std::size_t i = 0; i < 2; ++i) {
      const double factor = kSmoothingFactors[i];
      sums[i] = factor * sums[i] + (1 - factor) * value;
      weights[i] = factor * weights[i] + (1 - factor);
    }
    expected.push_back({sums[0] / weights[0], sums[1] / weights[1]});
  }
  const auto raw = curve.values();
  const auto light = curve.values(0, SIZE_MAX, Smoothing::kLight);
  const auto strong = curve.values(0, SIZE_MAX, Smoothing::kStrong);
  ASSERT_EQ(raw.size(), strong.size());
  EXPECT_LT(raw.size(), kSteps / 4);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    EXPECT_EQ(raw[i].step, strong[i].step);
    EXPECT_NEAR(light[i].value, expected[raw[i].step][0], 1e-4);
    EXPECT_NEAR(strong[i].value, expected[raw[i].step][1], 1e-4);
  }
  EXPECT_NEAR(strong.front().value, raw.front().value, 1e-6);
}

TEST(Curve, MeansPassOverWhatIsNoNumber) {
  Curve curve;
  curve.add(at(1, NAN));
  curve.add(at(2, 3));
  curve.add(at(3, INFINITY));
  curve.add(at(4, 3));
  const auto smooth = curve.values(0, SIZE_MAX, Smoothing::kStrong);
  EXPECT_TRUE(std::isnan(smooth[0].value));
  for (std::size_t i = 1; i < 4; ++i) EXPECT_FLOAT_EQ(static_cast<float>(smooth[i].value), 3.0F);
}

TEST(Curve, ARestartLosesPointsInSightAndGoesOnFromTheMeansBefore) {
  Curve curve;
  for (std::uint64_t step = 1; step <= 10; ++step) curve.add(at(step, 1));
  for (std::uint64_t step = 11; step <= 20; ++step) curve.add(at(step, 100));
  curve.add(at(11, 1, 2));
  EXPECT_EQ(curve.lost().size(), 10U);
  EXPECT_EQ(curve.lost().front(), at(11, 100));
  EXPECT_FLOAT_EQ(static_cast<float>(curve.values(11, SIZE_MAX, Smoothing::kStrong).front().value),
                  1.0F);
  // What is lost has a bound, too.
  for (AttemptNumber attempt = 3; attempt < 400; ++attempt)
    for (std::uint64_t step = 11; step < 21; ++step) curve.add(at(step, 1, attempt));
  EXPECT_LE(curve.lost().size(), 2 * Curve::kLostMax);
  EXPECT_EQ(curve.lost().back(), at(20, 1, 398));
}

}  // namespace
}  // namespace overwinter::telemetry
