#include "common/formats/ignore_rules.h"

#include <gtest/gtest.h>

namespace overwinter::formats {
namespace {

bool out(std::string_view rules, std::string_view path, bool folder = false) {
  const auto parsed = IgnoreRules::parse(rules);
  EXPECT_TRUE(parsed.has_value());
  return parsed && parsed->leaves_out(path, folder);
}

// What git check-ignore (2.39) says to each line.
TEST(IgnoreRulesTest, PatternsMeanWhatGitMeans) {
  EXPECT_TRUE(out("*.pyc", "a.pyc"));
  EXPECT_TRUE(out("*.pyc", "a/b/c.pyc"));
  EXPECT_FALSE(out("*.pyc", "a.py"));
  EXPECT_TRUE(out("*.py[cod]", "x/a.pyo"));
  EXPECT_FALSE(out("*.py[cod]", "x/a.pyx"));
  EXPECT_TRUE(out("*.py[!cod]", "x/a.pyx"));
  EXPECT_TRUE(out("build/", "build", true));
  EXPECT_FALSE(out("build/", "build"));
  EXPECT_TRUE(out("build/", "x/build", true));
  EXPECT_TRUE(out("/build", "build"));
  EXPECT_FALSE(out("/build", "x/build"));
  EXPECT_TRUE(out("a/b", "a/b"));
  EXPECT_FALSE(out("a/b", "x/a/b"));
  EXPECT_TRUE(out("**/b", "x/a/b"));
  EXPECT_TRUE(out("**/b", "b"));
  EXPECT_TRUE(out("a/**", "a/x/y"));
  EXPECT_FALSE(out("a/**", "a", true));
  EXPECT_TRUE(out("a/**/b", "a/b"));
  EXPECT_TRUE(out("a/**/b", "a/x/y/b"));
  EXPECT_FALSE(out("a/**/b", "a/xb"));
  EXPECT_FALSE(out("a/*/b", "a/x/y/b"));
  EXPECT_TRUE(out("a?c", "abc"));
  EXPECT_FALSE(out("a?c", "a/c"));
  EXPECT_TRUE(out("\\#a", "#a"));
  EXPECT_TRUE(out("\\!a", "!a"));
  EXPECT_FALSE(out("# a\n\n", "# a"));
  EXPECT_TRUE(out("a  \r\n", "a"));
  EXPECT_TRUE(out("a\\ ", "a "));
  EXPECT_FALSE(out("[a", "[a"));
}

TEST(IgnoreRulesTest, TheLastThatMatchesDecides) {
  EXPECT_FALSE(out("*.log\n!keep.log\n", "keep.log"));
  EXPECT_TRUE(out("*.log\n!keep.log\nkeep.*\n", "keep.log"));
  EXPECT_TRUE(out("*.log\n!keep.log\n", "x.log"));
}

TEST(IgnoreRulesTest, ManyStarsTakeNoLongTime) {
  std::string pattern;
  for (int i = 0; i < 300; ++i) pattern += "*a";
  EXPECT_FALSE(out(pattern + "b", std::string(4000, 'a')));
}

TEST(IgnoreRulesTest, BoundsAreSaid) {
  EXPECT_FALSE(IgnoreRules::parse(std::string(kIgnoreBytesMax + 1, 'a')).has_value());
  const auto long_line = IgnoreRules::parse("a\n" + std::string(kIgnorePatternMax + 1, 'a'));
  ASSERT_FALSE(long_line.has_value());
  EXPECT_NE(long_line.error().message.find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace overwinter::formats
