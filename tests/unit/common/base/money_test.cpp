#include "common/base/money.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace overwinter {
namespace {

TEST(Money, IsWrittenWithTwoToSixDecimals) {
  EXPECT_EQ(format_money(Money{0}), "0.00");
  EXPECT_EQ(format_money(Money{500'000}), "0.50");
  EXPECT_EQ(format_money(Money{12'000'000}), "12.00");
  EXPECT_EQ(format_money(Money{20'300}), "0.0203");
  EXPECT_EQ(format_money(Money{1}), "0.000001");
  EXPECT_EQ(format_money(Money{-1'890'000}), "-1.89");
  EXPECT_EQ(format_money(Money{std::numeric_limits<std::int64_t>::min()}), "-9223372036854.775808");
}

TEST(Money, IsReadExactly) {
  EXPECT_EQ(parse_money("0.50")->micros, 500'000);
  EXPECT_EQ(parse_money("12")->micros, 12'000'000);
  EXPECT_EQ(parse_money("1.89")->micros, 1'890'000);
  EXPECT_EQ(parse_money("0.000001")->micros, 1);
  EXPECT_EQ(parse_money("9000000000")->micros, 9'000'000'000'000'000);
}

TEST(Money, WhatIsNoAmountIsRefused) {
  for (const char* text : {"", ".", "1.", ".5", "-1", "+1", "1,5", "1e3", " 1", "1 ", "0.0000001",
                           "9000000001", "99999999999", "nan", "0x10", "1.2.3", "1/h"}) {
    const Result<Money> parsed = parse_money(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, Code::kInvalidArgument) << text;
  }
}

TEST(Money, AnyAmountSurvivesBeingWrittenAndRead) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::int64_t> micros(0, 9'000'000'000'000'000);
  for (int i = 0; i < 10'000; ++i) {
    const Money amount{micros(random)};
    const Result<Money> again = parse_money(format_money(amount));
    ASSERT_TRUE(again.has_value()) << format_money(amount);
    ASSERT_EQ(*again, amount);
  }
}

TEST(Money, AddsWithoutRounding) {
  // A tenth, ten times: binary floating point would miss the unit.
  Money sum;
  for (int i = 0; i < 10; ++i) sum = sum + *parse_money("0.10");
  EXPECT_EQ(sum, *parse_money("1"));
  EXPECT_EQ(Money{3} - Money{5}, Money{-2});
}

}  // namespace
}  // namespace overwinter
