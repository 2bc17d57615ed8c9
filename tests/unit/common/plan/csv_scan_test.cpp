#include "common/plan/csv_scan.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace overwinter::plan {
namespace {

Result<DataFacts> scanned(std::string_view text, std::size_t piece = 1) {
  CsvScan scan("y");
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const std::string_view part = text.substr(at, piece);
    if (Status s = scan.add({part.data(), part.size()}); !s.ok()) return fail(std::move(s));
  }
  return scan.finish();
}

TEST(CsvScan, TakesWhatAWorkerTakesHoweverItIsCut) {
  for (std::size_t piece : {1, 2, 3, 7, 1000}) {
    for (const char* text :
         {"x,y\n1,2\n3,4", "x,y\r\n1,2\r\n3,4\r\n", "\xEF\xBB\xBFx,y\n1,2\n3,4\n\n\r\n",
          "\"x\",\"y\"\n\"1\",\"2\"\n3, +4 \n", "\"a \"\"b\"\",\n\",y\n1,2\n3,4\n"}) {
      const auto facts = scanned(text, piece);
      ASSERT_TRUE(facts.has_value()) << text << ": " << facts.error().message;
      EXPECT_EQ(facts->samples, 2u) << text;
      EXPECT_EQ(facts->inputs, 1u) << text;
      EXPECT_EQ(facts->outputs, 5u) << text;
      EXPECT_TRUE(facts->classes) << text;
    }
    const auto values = scanned("y,x\n0.5,1\n-3,2\n7,9", piece);
    ASSERT_TRUE(values.has_value());
    EXPECT_FALSE(values->classes);
    EXPECT_EQ(values->outputs, 1u);
    EXPECT_EQ(values->samples, 3u);
  }
}

TEST(CsvScan, SaysWhereATableIsNone) {
  const auto message = [](std::string_view text) {
    const auto facts = scanned(text);
    return facts ? std::string("taken") : facts.error().message;
  };
  EXPECT_NE(message("x,y\n1\n").find("Line 2"), std::string::npos) << message("x,y\n1\n");
  EXPECT_NE(message("x,y\n1,2,3\n").find("the row goes on"), std::string::npos);
  EXPECT_NE(message("x,y\n1,2\n1,two\n").find("Line 3, column 2"), std::string::npos);
  EXPECT_NE(message("x,y\n1,2\n\n3,4\n").find("empty line"), std::string::npos);
  EXPECT_NE(message("x,y\n").find("no rows"), std::string::npos);
  EXPECT_NE(message("").find("empty"), std::string::npos);
  EXPECT_NE(message("x,y\n1,\"2").find("not closed"), std::string::npos);
  EXPECT_NE(message("x,y\n1,2\"\n").find("quote stands inside"), std::string::npos);
  EXPECT_NE(message("x,\n1,2\n").find("no name"), std::string::npos);
  EXPECT_NE(message("x,y\n1,\"2\"3\n").find("other than a comma"), std::string::npos);
  EXPECT_NE(message("x,y\n1," + std::string(5000, '1') + "\n").find("4,096"), std::string::npos);
}

}  // namespace
}  // namespace overwinter::plan
