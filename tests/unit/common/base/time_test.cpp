#include "common/base/time.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>
#include <string>

namespace overwinter {
namespace {

// The C library's calendar as an independent source.
std::string from_c_library(std::int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
  return std::string(text, n) + "." + fraction + "Z";
}

TEST(Time, IsWrittenAsTheCLibraryWritesItAndReadBack) {
  std::mt19937_64 random(2);
  std::uniform_int_distribution<std::int64_t> ms(0, 253'402'300'799'999);  // to the end of 9999
  for (int i = 0; i < 10'000; ++i) {
    const Time t = time_from_unix_ms(ms(random));
    const std::string text = format_time(t);
    ASSERT_EQ(text, from_c_library(unix_ms(t)));
    const Result<Time> again = parse_time(text);
    ASSERT_TRUE(again.has_value()) << text;
    ASSERT_EQ(*again, t);
  }
}

TEST(Time, OffsetsAndDatesAloneAreRead) {
  const Time noon = *parse_time("2026-11-24T12:00:00Z");
  EXPECT_EQ(*parse_time("2026-11-24T13:30:00+01:30"), noon);
  EXPECT_EQ(*parse_time("2026-11-24T07:00:00-05:00"), noon);
  EXPECT_EQ(*parse_time("2026-11-24 12:00:00.000z"), noon);
  EXPECT_EQ(*parse_time("2026-11-24"), noon - std::chrono::hours(12));
  EXPECT_EQ(*parse_time("2026-11-24T12:00:00.0079Z"), noon + Duration(7));
  EXPECT_EQ(unix_ms(*parse_time("1970-01-01")), 0);
  EXPECT_EQ(*parse_time("2024-02-29"), *parse_time("2024-03-01") - std::chrono::hours(24));
}

TEST(Time, WhatIsNoTimeIsRefused) {
  for (const char* text :
       {"", "2026", "2026-13-01", "2026-02-29", "2026-11-31", "2026-11-24T", "2026-11-24T10:00:00",
        "2026-11-24T24:00:00Z", "2026-11-24T10:60:00Z", "2026-11-24T10:00:00.Z",
        "2026-11-24T10:00:00+25:00", "2026-11-24T10:00:00Zx", "26-11-24", "2026/11/24",
        "2026-11-24T10:00:00.1234567890Z", "tomorrow"}) {
    EXPECT_FALSE(parse_time(text).has_value()) << text;
  }
}

TEST(Duration, IsWrittenForPeople) {
  EXPECT_EQ(format_duration(Duration(0)), "0ms");
  EXPECT_EQ(format_duration(Duration(350)), "350ms");
  EXPECT_EQ(format_duration(Duration(12'400)), "12.4s");
  EXPECT_EQ(format_duration(Duration(59'999)), "59.9s");
  EXPECT_EQ(format_duration(Duration(200'000)), "3m 20s");
  EXPECT_EQ(format_duration(std::chrono::minutes(62)), "1h 2m");
  EXPECT_EQ(format_duration(std::chrono::hours(49)), "2d 1h");
  EXPECT_EQ(format_duration(Duration(-350)), "-350ms");
}

TEST(Duration, IsReadWithItsUnit) {
  EXPECT_EQ(*parse_duration("90s"), std::chrono::seconds(90));
  EXPECT_EQ(*parse_duration("30m"), std::chrono::minutes(30));
  EXPECT_EQ(*parse_duration("12h"), std::chrono::hours(12));
  EXPECT_EQ(*parse_duration("7d"), std::chrono::hours(168));
  EXPECT_EQ(*parse_duration("1.5h"), std::chrono::minutes(90));
  EXPECT_EQ(*parse_duration("250ms"), Duration(250));
  EXPECT_EQ(*parse_duration("1h30m"), std::chrono::minutes(90));
  EXPECT_EQ(*parse_duration("1h 30m"), std::chrono::minutes(90));
}

TEST(Duration, WhatIsNoDurationIsRefused) {
  for (const char* text : {"", "5", "1h30", "h", "-5s", "inf s", "nans", "1e99s", "5 s", "5weeks",
                           "5S", "1000000000000d", "s5", "1..5s"}) {
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
  }
}

TEST(Time, MonthsEndWhereTheCalendarSays) {
  const auto next = [](const char* text) {
    return format_time(next_month_start(*parse_time(text)));
  };
  EXPECT_EQ(next("2026-01-31"), "2026-02-01T00:00:00.000Z");
  EXPECT_EQ(next("2026-12-31T23:59:59.999Z"), "2027-01-01T00:00:00.000Z");
  EXPECT_EQ(next("2026-11-01"), "2026-12-01T00:00:00.000Z");
  EXPECT_EQ(next("2024-02-29T12:00:00Z"), "2024-03-01T00:00:00.000Z");
}

}  // namespace
}  // namespace overwinter
