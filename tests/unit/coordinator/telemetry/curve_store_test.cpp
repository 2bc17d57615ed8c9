#include "coordinator/telemetry/curve_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;

class CurveStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "curvesXXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    base_ = fs::absolute(name);
    folder_ = base_ / "demo" / "job-1";
  }
  void TearDown() override { fs::remove_all(base_); }

  static CurvePoint point(std::uint64_t step, double value, std::string name = "loss") {
    return {.name = std::move(name), .attempt = 1, .step = step, .time = {}, .value = value};
  }

  fs::path base_, folder_;
  std::int64_t ms_ = 0;
};

TEST_F(CurveStoreTest, WhatARestartTookBackOutlivesOursAndTheThinning) {
  {
    CurveStore store;
    store.add(folder_, {point(1, 3), point(2, 2), point(3, 9), point(4, 8)});
    CurvePoint again = point(3, 1);
    again.attempt = 2;
    store.add(folder_, {again});
    EXPECT_EQ(store.lost(folder_, "loss").size(), 2u);
  }
  CurveStore store;
  ASSERT_EQ(store.lost(folder_, "loss").size(), 2u);
  std::vector<CurvePoint> many;
  for (std::uint64_t step = 4; step < 40'000; ++step) {
    many.push_back(point(step, 1));
    many.back().attempt = 2;
  }
  store.add(folder_, many);  // written anew, thinned
  EXPECT_LE(fs::file_size(folder_ / "curves"), CurveStore::kFileBytesMax);
  CurveStore later;
  const auto lost = later.lost(folder_, "loss");
  ASSERT_EQ(lost.size(), 2u);
  EXPECT_EQ(lost[0].step, 3u);
  EXPECT_EQ(lost[1].value, 8.0);
  EXPECT_TRUE(later.lost(folder_, "none").empty());
}

TEST_F(CurveStoreTest, RanksThatAllTellTheSameTakeNothingBack) {
  CurveStore store;
  const auto told = [&](std::uint32_t seat, std::uint64_t from, std::uint64_t to,
                        AttemptNumber attempt = 1) {
    std::vector<CurvePoint> points;
    for (std::uint64_t step = from; step <= to; ++step) {
      points.push_back(point(step, seat));
      points.back().seat = seat;
      points.back().attempt = attempt;
      points.back().time = time_from_unix_ms(++ms_);
    }
    store.add(folder_, points);
    return store.read(folder_, "loss", 0, SIZE_MAX)->size();
  };
  EXPECT_EQ(told(0, 1, 10), 10u);
  EXPECT_EQ(told(1, 1, 12), 12u);  // two of them are new
  EXPECT_EQ(told(0, 11, 20), 20u);
  EXPECT_EQ(told(1, 13, 20), 20u);
  EXPECT_TRUE(store.lost(folder_, "loss").empty());
  // Who told the last one may go back: it begins again.
  EXPECT_EQ(told(0, 5, 5), 5u);
  EXPECT_TRUE(store.lost(folder_, "loss").empty());
  // So may any in another attempt, and that is a loss.
  EXPECT_EQ(told(1, 3, 4, 2), 4u);
  EXPECT_EQ(store.lost(folder_, "loss").size(), 3u);
}

TEST_F(CurveStoreTest, ReadsAfterARestart) {
  {
    CurveStore store;
    store.add(folder_, {point(1, 3.5), point(2, 3.25), point(1, 0.5, "accuracy")});
    store.add(folder_, {point(3, 3.0)});
  }
  CurveStore store;
  const auto list = store.list(folder_);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].name, "accuracy");
  EXPECT_EQ(list[1].count, 3u);
  EXPECT_EQ(list[1].last.value, 3.0);
  const auto loss = store.read(folder_, "loss", 2, 1000);
  ASSERT_TRUE(loss);
  ASSERT_EQ(loss->size(), 2u);
  EXPECT_EQ(loss->front().value, 3.25);
  EXPECT_EQ(store.read(folder_, "none", 0, 10).error().code, Code::kNotFound);
  EXPECT_TRUE(store.list(base_ / "demo" / "job-2").empty());
}

TEST_F(CurveStoreTest, TornAndFlippedFilesAreReadAsFarAsTheyAreGood) {
  {
    CurveStore store;
    for (std::uint64_t step = 1; step <= 10; ++step) store.add(folder_, {point(step, 1)});
  }
  std::ifstream in(folder_ / "curves");
  const std::string good((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  for (std::size_t n = 0; n < good.size(); ++n) {
    std::string flipped = good;
    flipped[n] = static_cast<char>(flipped[n] ^ 16);
    for (const std::string& bad : {good.substr(0, n), flipped}) {
      std::ofstream(folder_ / "curves", std::ios::trunc) << bad;
      CurveStore store;
      for (const CurveSummary& summary : store.list(folder_)) {
        EXPECT_EQ(summary.name, "loss");
        EXPECT_LT(summary.count, 10u);
      }
      // Writing goes on behind what was good.
      store.add(folder_, {point(100, 7)});
      CurveStore again;
      ASSERT_EQ(again.list(folder_).size(), 1u);
      EXPECT_EQ(again.list(folder_)[0].last.step, 100u);
    }
  }
}

TEST_F(CurveStoreTest, EverythingIsBounded) {
  CurveStore store;
  std::vector<CurvePoint> points;
  for (int name = 0; name < 100; ++name) points.push_back(point(1, 1, "m" + std::to_string(name)));
  points.push_back(point(1, 1, ""));
  points.push_back(point(1, 1, std::string(65, 'x')));
  points.push_back(point(1, 1, "a\nb"));
  store.add(folder_, points);
  EXPECT_EQ(store.list(folder_).size(), CurveStore::kCurvesMax);
  const fs::path other = base_ / "demo" / "job-2";
  for (std::uint64_t step = 0; step < 100'000; step += 1000) {
    points.clear();
    for (std::uint64_t i = 0; i < 1000; ++i)
      points.push_back(point(step + i, step + i == 4242 ? 99.0 : 1.0));
    store.add(other, points);
  }
  EXPECT_LE(fs::file_size(other / "curves"), CurveStore::kFileBytesMax);
  CurveStore again;
  const auto values = again.read(other, "loss", 0, 100'000);
  ASSERT_TRUE(values);
  bool spike = false;
  for (const CurveValue& value : *values) spike |= value.step == 4242 && value.value == 99.0;
  EXPECT_TRUE(spike);
  EXPECT_EQ(values->back().step, 99'999u);
  // The means came along: they are of all points, not of those that thinning left.
  EXPECT_EQ(*again.read(other, "loss", 0, 100'000, Smoothing::kStrong),
            *store.read(other, "loss", 0, 100'000, Smoothing::kStrong));
  for (std::size_t job = 0; job < 2 * CurveStore::kJobsInMemoryMax; ++job)
    (void)store.list(base_ / "demo" / ("job-" + std::to_string(job)));
  EXPECT_EQ(store.list(other).size(), 1u);
}

}  // namespace
}  // namespace overwinter::telemetry
