#include "coordinator/telemetry/telemetry.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <future>

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class TelemetryTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "telemetryXXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    base_ = fs::absolute(name);
  }
  void TearDown() override { fs::remove_all(base_); }
  std::unique_ptr<Telemetry> open(const TelemetryConfig& config = {}) {
    auto telemetry = Telemetry::open(base_ / "t", config);
    EXPECT_TRUE(telemetry);
    return std::move(*telemetry);
  }
  LogEntry line(std::string text) {
    return {.attempt = 1, .rank = 0, .time = time_from_unix_ms(5), .text = std::move(text)};
  }
  static double resident_mib() {
    long pages = 0, resident = 0;
    FILE* file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    if (file != nullptr) std::fclose(file);
    return static_cast<double>(resident * ::getpagesize()) / (1 << 20);
  }

  const JobKey job_{"demo", JobId(1)};
  fs::path base_;
};

TEST_F(TelemetryTest, AWatchIsToldOfWhatWasWritten) {
  auto telemetry = open();
  std::promise<void> told;
  bool once = false;
  auto watch = telemetry->watch(job_, [&] {
    if (!once) told.set_value();
    once = true;
  });
  telemetry->push({.job = {"demo", JobId(2)}, .entries = {line("of another job")}, .points = {}});
  telemetry->push(
      {.job = job_,
       .entries = {line("hello")},
       .points = {{.name = "loss", .attempt = 1, .step = 3, .time = {}, .value = 2.5}}});
  ASSERT_EQ(told.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  const auto page = telemetry->read_logs(job_, {});
  ASSERT_TRUE(page);
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_EQ(page->items[0].entry.text, "hello");
  EXPECT_EQ(telemetry->list_curves(job_)->size(), 1u);
  EXPECT_EQ(telemetry->read_curve(job_, "loss", 0, 10)->front().value, 2.5);
  EXPECT_FALSE(telemetry->list_curves({"..", JobId(1)}));
  watch.reset();
  telemetry->push({.job = job_, .entries = {line("unwatched")}, .points = {}});
}

TEST_F(TelemetryTest, WhatWasHandedInIsWrittenBeforeTheEnd) {
  open()->push({.job = job_, .entries = {line("last")}, .points = {}});
  EXPECT_EQ(open()->read_logs(job_, {})->items.size(), 1u);
}

TEST_F(TelemetryTest, RetentionTakesLogsAndCurves) {
  open()->push(
      {.job = job_,
       .entries = {},
       .points = {
           {.name = "loss", .attempt = 1, .step = 1, .time = time_from_unix_ms(5), .value = 1}}});
  auto telemetry = open();
  EXPECT_EQ(telemetry->list_curves(job_)->size(), 1u);
  telemetry->expire(time_from_unix_ms(4'102'444'800'000));  // the year 2100
  EXPECT_TRUE(telemetry->list_curves(job_)->empty());
  EXPECT_TRUE(fs::is_empty(base_ / "t" / "demo"));
}

// The disk takes nothing and gives no answer: nobody who hands something in notices.
TEST_F(TelemetryTest, AStuckDiskHoldsNobodyUp) {
  TelemetryConfig config;
  config.queue_bytes = std::size_t{1} << 20;
  auto telemetry = open(config);
  const fs::path folder = base_ / "t" / "demo" / "job-1";
  fs::create_directories(folder);
  // Opening a pipe to write waits for a reader.
  ASSERT_EQ(::mkfifo((folder / "1-0-1.log").c_str(), 0600), 0);
  for (int i = 0; i < 1000; ++i) {
    JobBatch batch{.job = job_};
    for (int j = 0; j < 100; ++j) batch.entries.push_back(line(std::string(1000, 'x')));
    telemetry->push(std::move(batch));
  }
  EXPECT_GT(telemetry->lost(), 90'000u);
  EXPECT_TRUE(telemetry->read_logs(job_, {}).has_value());  // nor does a reader
  const int reader = ::open((folder / "1-0-1.log").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  telemetry.reset();
  ::close(reader);
  std::uint64_t lines = 0;
  telemetry = open(config);
  const auto page = telemetry->read_logs(job_, {.items_max = 100'000, .bytes_max = SIZE_MAX});
  ASSERT_TRUE(page);
  for (const LogItem& item : page->items) lines += item.entry.is_gap() ? item.entry.lines_lost : 1;
  EXPECT_EQ(lines, 100'000u);
}

// A gigabyte of prints: the caller is never held up, memory stays where it was, the disk holds its
// bound, and every line is either there or counted.
TEST_F(TelemetryTest, AGigabyteOfPrintsIntoSixteenMebibytes) {
  constexpr std::uint64_t kLines = 10'000'000;
  constexpr std::uint64_t kBatch = 2000;
  TelemetryConfig config;
  config.logs.job_bytes = std::uint64_t{16} << 20;
  config.queue_bytes = std::size_t{8} << 20;
  const double before = resident_mib();
  double most = before;
  double longest_ms = 0;
  const auto start = Clock::now();
  {
    auto telemetry = open(config);
    for (std::uint64_t i = 0; i < kLines; i += kBatch) {
      JobBatch batch{.job = job_, .entries = {}, .points = {}};
      batch.entries.reserve(kBatch);
      for (std::uint64_t j = i; j < i + kBatch; ++j) {
        std::string text = "line " + std::to_string(j) + " ";
        text.resize(100, '.');
        batch.entries.push_back(line(std::move(text)));
      }
      const auto pushed = Clock::now();
      telemetry->push(std::move(batch));
      longest_ms = std::max(
          longest_ms, std::chrono::duration<double, std::milli>(Clock::now() - pushed).count());
      if (i % (50 * kBatch) == 0) most = std::max(most, resident_mib());
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  auto telemetry = open(config);
  EXPECT_LE(telemetry->log_bytes(), config.logs.job_bytes);
  std::uint64_t kept = 0, lost = 0, bytes = 0;
  std::string first, last;
  LogQuery query;
  for (bool more = true; more;) {
    const auto page = telemetry->read_logs(job_, query);
    ASSERT_TRUE(page);
    for (const LogItem& item : page->items) {
      lost += item.entry.lines_lost;
      bytes += item.entry.bytes_lost + item.entry.text.size();
      if (item.entry.is_gap()) continue;
      if (kept++ == 0) first = item.entry.text;
      last = item.entry.text;
    }
    query.after = page->next;
    more = page->more;
  }
  EXPECT_EQ(kept + lost, kLines);
  EXPECT_EQ(bytes, kLines * 100);
  EXPECT_EQ(first.substr(0, 7), "line 0 ");
  EXPECT_EQ(last.substr(0, 13), "line 9999999 ");
  EXPECT_LT(most - before, 64);
  std::printf("1 GB in %.1f s, longest push %.1f ms, %.0f MiB more memory, %llu lines kept\n",
              seconds, longest_ms, most - before, static_cast<unsigned long long>(kept));
}

}  // namespace
}  // namespace overwinter::telemetry
