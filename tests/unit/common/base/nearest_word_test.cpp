#include "common/base/nearest_word.h"

#include <gtest/gtest.h>

namespace overwinter {
namespace {

TEST(NearestWord, CountsEdits) {
  EXPECT_EQ(word_edits("", ""), 0u);
  EXPECT_EQ(word_edits("plan", "plan"), 0u);
  EXPECT_EQ(word_edits("plan", "pln"), 1u) << "one left out";
  EXPECT_EQ(word_edits("plan", "plant"), 1u) << "one too many";
  EXPECT_EQ(word_edits("plan", "plam"), 1u) << "one replaced";
  EXPECT_EQ(word_edits("plan", "palm"), 2u);
  EXPECT_EQ(word_edits("plan", "paln"), 1u) << "neighbours swapped";
  EXPECT_EQ(word_edits("kitten", "sitting"), 3u);
  EXPECT_EQ(word_edits(std::string(1000, 'a'), std::string(2000, 'b')), 40u) << "bounded";
}

TEST(NearestWord, FarWordsHaveNone) {
  const std::vector<std::string> known{"jobs", "plan", "prices", "projects"};
  EXPECT_EQ(nearest_word("job", known), "jobs");
  EXPECT_EQ(nearest_word("projcets", known), "projects");
  EXPECT_EQ(nearest_word("submarine", known), "");
  EXPECT_EQ(nearest_word("x", {}), "");
}

}  // namespace
}  // namespace overwinter
