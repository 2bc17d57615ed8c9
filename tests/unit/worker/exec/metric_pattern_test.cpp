#include "worker/exec/metric_pattern.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <random>
#include <regex>

namespace overwinter::worker::exec {
namespace {

std::string found(std::string_view pattern, std::string_view line) {
  const auto parsed = MetricPattern::parse(pattern);
  EXPECT_TRUE(parsed.has_value()) << pattern << ": " << parsed.error().message;
  if (!parsed) return "(error)";
  return std::string(parsed->find(line).value_or("(none)"));
}

TEST(MetricPatternTest, FindsWhatPeopleWrite) {
  EXPECT_EQ(found("loss[=: ]+([0-9.]+)", "epoch 3 loss: 2.31 lr 1e-4"), "2.31");
  EXPECT_EQ(found(R"(Validation (?:loss|error)\s*=\s*(-?\d+\.\d*(?:e[+-]?\d+)?))",
                  "Validation error = -1.5e-3,"),
            "-1.5e-3");
  EXPECT_EQ(found(R"(^acc (\d{1,3})%$)", "acc 97%"), "97");
  EXPECT_EQ(found(R"(^acc (\d{1,3})%$)", "the acc 97%"), "(none)");
  EXPECT_EQ(found(R"(\bppl\b.*?(\d+))", "xppl 1 ppl 22 33"), "22");
  EXPECT_EQ(found("a(b*)c", "xxabbbcac"), "bbb");
  EXPECT_EQ(found("(a+?)", "aaa"), "a");
  EXPECT_EQ(found("x{2,}", "axxxb"), "xxx");
  EXPECT_EQ(found("[^a-c]+", "abcxyzabc"), "xyz");
  EXPECT_EQ(found("[]a-]+", "x]-a"), "]-a");
  EXPECT_EQ(found("a|b(c)?", "a"), "(none)");
  EXPECT_EQ(found("", "x"), "");
  EXPECT_EQ(found("a{", "a{"), "a{");
}

TEST(MetricPatternTest, WhatIsWrongIsSaid) {
  for (const char* pattern : {"(", ")", "a)", "[a", "*a", "a|*", "\\", "(?=a)", "(a)\\1", "a{3,2}",
                              "a{1000}", "a{2", "((((a{90}){90}){90}){90})"}) {
    const auto parsed = MetricPattern::parse(pattern);
    EXPECT_FALSE(parsed.has_value()) << pattern;
    if (!parsed) {
      EXPECT_NE(parsed.error().message.find("at character"), std::string::npos);
    }
  }
  EXPECT_FALSE(MetricPattern::parse(std::string(10000, 'a')).has_value());
  EXPECT_FALSE(MetricPattern::parse(std::string(200, '(') + std::string(200, ')')).has_value());
}

// Patterns and lines on which matchers that go back take until the end of days.
TEST(MetricPatternTest, HostilePatternsTakeNoLongTime) {
  const auto begun = std::chrono::steady_clock::now();
  const std::string line(kPatternLineMax, 'a');
  for (const char* pattern : {"(a*)*b", "(a|a)*b", "(a|aa)+$b", "(.*)(.*)(.*)(.*)(.*)b",
                              "((a?){20}a{20})+b", "(((a*)*)*)*b"})
    EXPECT_EQ(found(pattern, line), "(none)") << pattern;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

// Against the library's own matcher, on short inputs where it is quick.
TEST(MetricPatternTest, AgreesWithTheLibraryOnRandomPatterns) {
  std::mt19937 random(7);
  const auto pick = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  const std::function<std::string(int)> make = [&](int depth) -> std::string {
    std::string out;
    for (int i = 0; i <= pick(3); ++i) {
      const int kind = pick(depth > 0 ? 8 : 5);
      if (kind < 3) out += static_cast<char>('a' + pick(3));
      if (kind == 3) out += pick(2) != 0 ? "[ab]" : "[^a]";
      if (kind == 4) out += ".";
      if (kind == 5) out += "(?:" + make(depth - 1) + "|" + make(depth - 1) + ")";
      if (kind >= 6) out += "(?:" + make(depth - 1) + ")";
      // Not the repetition of what may be empty: there the two differ in what a group is left with.
      if (pick(3) == 0 && kind < 5) {
        static const char* const kRepeats[] = {"*", "+", "?", "{2}", "{1,2}", "*?", "+?", "??"};
        out += kRepeats[pick(8)];
      }
    }
    return out;
  };
  for (int round = 0; round < 3000; ++round) {
    const std::string pattern = make(2) + "(" + make(2) + ")";
    const auto ours = MetricPattern::parse(pattern);
    ASSERT_TRUE(ours.has_value()) << pattern;
    const std::regex library(pattern);
    for (int i = 0; i < 4; ++i) {
      std::string line;
      for (int j = pick(10); j > 0; --j) line += static_cast<char>('a' + pick(3));
      std::smatch match;
      const bool there = std::regex_search(line, match, library);
      const auto mine = ours->find(line);
      ASSERT_EQ(mine.has_value(), there) << pattern << " in " << line;
      if (there) {
        ASSERT_EQ(*mine, match[1].str()) << pattern << " in " << line;
      }
    }
  }
}

}  // namespace
}  // namespace overwinter::worker::exec
