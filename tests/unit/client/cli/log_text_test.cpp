#include "client/cli/log_text.h"

#include <gtest/gtest.h>

namespace overwinter::cli {
namespace {

TEST(LogText, KeepsWhatIsText) {
  EXPECT_EQ(log_text("step 1\tloss 2.5 \xC3\xA4 \xE2\x82\xAC"),
            "step 1\tloss 2.5 \xC3\xA4 \xE2\x82\xAC");
  EXPECT_EQ(log_text(""), "");
}

TEST(LogText, TakesEscapeSequencesOut) {
  EXPECT_EQ(log_text("\x1B[31mred\x1B[0m"), "red");
  EXPECT_EQ(log_text("a\x1B]0;a title\ab"), "ab");
  EXPECT_EQ(log_text("a\x1B]8;;http://x\x1B\\b"), "ab");
  EXPECT_EQ(log_text("a\x1B"
                     "cb"),
            "ab");
  EXPECT_EQ(log_text("cut \x1B["), "cut ");
  EXPECT_EQ(log_text("cut \x1B"), "cut ?");
  EXPECT_EQ(log_text("bell\a \x7F"), "bell? ?");
  EXPECT_EQ(log_text("c1 \xC2\x9B"
                     "31m"),
            "c1 ?31m");
}

TEST(LogText, OfAProgressBarTheLastDrawing) {
  EXPECT_EQ(log_text(" 10 %\r 50 %\r100 %"), "100 %");
  EXPECT_EQ(log_text("windows\r"), "windows");
  EXPECT_EQ(log_text("\r\r"), "");
}

}  // namespace
}  // namespace overwinter::cli
