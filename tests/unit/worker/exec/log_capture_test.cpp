#include "worker/exec/log_capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

class Lines final : public LogSink {
 public:
  void line(std::string_view text) override {
    bytes += text.size() + 1;
    if (all.size() < 100000) all.emplace_back(text);
  }
  void dropped(std::uint64_t count) override {
    missing += count;
    all.push_back("-" + std::to_string(count));
  }
  std::vector<std::string> all;
  std::uint64_t bytes = 0;
  std::uint64_t missing = 0;
};

TEST(LogCaptureTest, LinesComeWholeHoweverTheyArrive) {
  Lines lines;
  LogCapture capture({}, lines);
  capture.feed(milliseconds(0), "one\ntw");
  capture.feed(milliseconds(0), "o\n\nlast");
  EXPECT_THAT(lines.all, ElementsAre("one", "two", ""));
  capture.finish();
  EXPECT_EQ(lines.all.back(), "last");
}

TEST(LogCaptureTest, ALongLineComesInPieces) {
  Lines lines;
  LogCapture capture({.line_bytes_max = 4}, lines);
  capture.feed(milliseconds(0), "abcdefghij\nabcd\n");
  capture.finish();
  EXPECT_THAT(lines.all, ElementsAre("abcd", "efgh", "ij", "abcd"));
}

TEST(LogCaptureTest, OfAProgressBarTheLastStateIsKept) {
  Lines lines;
  LogCapture capture({}, lines);
  capture.feed(milliseconds(0), "10%\r 50%\r100%\nplain\r\n");
  EXPECT_THAT(lines.all, ElementsAre("100%", "plain"));
}

TEST(LogCaptureTest, WhatIsOverTheBoundIsCountedAndSaid) {
  Lines lines;
  LogCapture capture({.burst_bytes = 4, .bytes_per_second = 1000, .tail_bytes = 8}, lines);
  capture.feed(milliseconds(0), "a\nb\nc\nd\n");
  EXPECT_THAT(lines.all, ElementsAre("a", "b"));
  capture.feed(milliseconds(2), "e\nf\n");
  EXPECT_THAT(lines.all, ElementsAre("a", "b", "-4", "e"));
  capture.feed(milliseconds(2), "1\n2\n3\n4\n5\n");
  capture.finish();
  // f and 1 are gone, the last eight bytes are kept.
  EXPECT_THAT(lines.all, ElementsAre("a", "b", "-4", "e", "-4", "2", "3", "4", "5"));
}

TEST(LogCaptureTest, AGigabyteIsNotKept) {
  Lines lines;
  LogCapture capture({}, lines);
  const std::string piece(1 << 16, 'x');
  for (int i = 0; i < (1 << 14); ++i) capture.feed(milliseconds(i / 16), piece);
  capture.finish();
  EXPECT_LE(lines.bytes, (std::uint64_t{1} << 20) + (std::uint64_t{300} << 10));
  // Each piece of 4096 counts one more, for the newline that it became.
  EXPECT_EQ(lines.bytes + lines.missing, (std::uint64_t{1} << 30) + (std::uint64_t{1} << 18));
  EXPECT_EQ(capture.bytes_seen(), std::uint64_t{1} << 30);
}

}  // namespace
}  // namespace overwinter::worker::exec
