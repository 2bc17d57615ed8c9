#include "coordinator/dashboard/series.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace overwinter::dashboard {
namespace {

using telemetry::CurveValue;

CurveValue at(std::uint64_t step, double value = 1, AttemptNumber attempt = 1) {
  return {attempt, step, time_from_unix_ms(static_cast<std::int64_t>(step) * 1000), value};
}

TEST(SeriesTest, PartsEndAtGapsAndAttempts) {
  std::vector<CurveValue> points;
  for (std::uint64_t step = 0; step < 50; ++step) points.push_back(at(step));
  for (std::uint64_t step = 90; step < 120; ++step) points.push_back(at(step));
  for (std::uint64_t step = 120; step < 140; ++step) points.push_back(at(step, 1, 2));
  EXPECT_EQ(part_starts(points, Axis::kStep), (std::vector<std::size_t>{0, 50, 80}));
}

// Of a falling curve thinning keeps the first and the last of each bucket: distances of 1 and of a
// bucket's width in turns, and no gap.
TEST(SeriesTest, ThinnedPairsAreNoGaps) {
  std::vector<CurveValue> points;
  for (std::uint64_t bucket = 0; bucket < 100; ++bucket) {
    points.push_back(at(bucket * 64, -static_cast<double>(bucket)));
    points.push_back(at(bucket * 64 + 63, -static_cast<double>(bucket)));
  }
  EXPECT_EQ(part_starts(points, Axis::kStep), (std::vector<std::size_t>{0}));
}

TEST(SeriesTest, APauseIsAGapOfTimeAndNotOfSteps) {
  std::vector<CurveValue> points;
  for (std::uint64_t step = 0; step < 60; ++step) points.push_back(at(step));
  for (std::size_t i = 30; i < 60; ++i) points[i].time += std::chrono::hours(1);
  EXPECT_EQ(part_starts(points, Axis::kStep), (std::vector<std::size_t>{0}));
  EXPECT_EQ(part_starts(points, Axis::kTime), (std::vector<std::size_t>{0, 30}));
}

TEST(SeriesTest, FewPointsAreOnePart) {
  EXPECT_TRUE(part_starts({}, Axis::kStep).empty());
  const std::vector<CurveValue> two{at(1), at(1'000)};
  EXPECT_EQ(part_starts(two, Axis::kStep), (std::vector<std::size_t>{0}));
}

TEST(SeriesTest, AsJsonWhatIsNoNumberIsText) {
  const std::vector<CurveValue> points{at(1, 2.5), at(2, NAN), at(3, INFINITY), at(4, -INFINITY)};
  const auto json = series_json({"loss", points.back(), 84'310}, {points}, Axis::kStep);
  EXPECT_EQ(
      json.dump(),
      R"({"count":"84310","kept":4,"lost":[],"metric":"loss","parts":[{"attempt":1,"steps":[1,2,3,4],)"
      R"("times":[1000,2000,3000,4000],"values":[2.5,"NaN","Infinity","-Infinity"]}]})");
}

TEST(SeriesTest, SmoothedValuesStandBesideTheirPointsAndWhatWasLostApart) {
  const std::vector<CurveValue> points{at(1, 2), at(2, 4, 2)};
  const std::vector<CurveValue> smooth{at(1, 2), at(2, 3, 2)};
  const std::vector<CurveValue> lost{at(2, 9), at(3, 8), at(2, 7)};
  const auto json = series_json({"loss", points.back(), 2}, {points, smooth, lost}, Axis::kStep);
  EXPECT_EQ(json["parts"][1]["smooth"].dump(), "[3.0]");
  EXPECT_EQ(json["lost"].size(), 2U);
  EXPECT_EQ(json["lost"][0]["steps"].dump(), "[2,3]");
  EXPECT_FALSE(json["lost"][0].contains("smooth"));
}

}  // namespace
}  // namespace overwinter::dashboard
