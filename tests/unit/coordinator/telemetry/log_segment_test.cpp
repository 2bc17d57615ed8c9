#include "coordinator/telemetry/log_segment.h"

#include <gtest/gtest.h>

#include <random>

namespace overwinter::telemetry {
namespace {

LogEntry line(std::string text, std::int64_t ms = 5) {
  return {.attempt = 2,
          .rank = 3,
          .stream = Stream::kErr,
          .time = time_from_unix_ms(ms),
          .text = std::move(text)};
}

std::string segment() {
  std::string data;
  append_header(
      data,
      {.job = 7, .attempt = 2, .rank = 3, .number = 4, .lines_before = 10, .bytes_before = 100});
  append_record(data, 11, line("first"));
  append_record(data, 12,
                {.attempt = 2,
                 .rank = 3,
                 .time = time_from_unix_ms(6),
                 .text = {},
                 .lines_lost = 5,
                 .bytes_lost = 50});
  append_record(data, 13, line(std::string(kLineBytesMax + 1, 'x')));
  append_record(data, 14, line(""));
  return data;
}

std::vector<LogItem> items(std::string_view data) {
  std::vector<LogItem> out;
  auto reader = SegmentReader::open(data);
  if (!reader) return out;
  while (auto item = reader->next()) out.push_back(std::move(*item));
  return out;
}

TEST(LogSegment, ReadsWhatWasWritten) {
  const std::string data = segment();
  auto reader = SegmentReader::open(data);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->header().job, 7u);
  EXPECT_EQ(reader->header().number, 4u);
  EXPECT_EQ(reader->header().lines_before, 10u);
  EXPECT_EQ(reader->header().bytes_before, 100u);
  const auto all = items(data);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].sequence, 11u);
  EXPECT_EQ(all[0].entry.text, "first");
  EXPECT_EQ(all[0].entry.attempt, 2u);
  EXPECT_EQ(all[0].entry.rank, 3u);
  EXPECT_EQ(all[0].entry.stream, Stream::kErr);
  EXPECT_EQ(unix_ms(all[0].entry.time), 5);
  EXPECT_TRUE(all[1].entry.is_gap());
  EXPECT_EQ(all[1].entry.lines_lost, 5u);
  EXPECT_EQ(all[1].entry.bytes_lost, 50u);
  EXPECT_TRUE(all[2].cut);
  EXPECT_EQ(all[2].entry.text.size(), kLineBytesMax);
  EXPECT_FALSE(all[3].cut);
  EXPECT_EQ(all[3].entry.text, "");
}

// Cut anywhere, it holds the records that are whole, and nothing else.
TEST(LogSegment, TornAnywhere) {
  const std::string data = segment();
  const auto whole = items(data);
  for (std::size_t n = 0; n < data.size(); n += n < 200 ? 1 : 97) {
    const auto some = items(std::string_view(data).substr(0, n));
    ASSERT_LT(some.size(), whole.size()) << n;
    for (std::size_t i = 0; i < some.size(); ++i)
      EXPECT_EQ(some[i].entry.text, whole[i].entry.text);
  }
}

// A changed byte ends the reading at the record that it is in: nothing false is told.
TEST(LogSegment, FlippedAnywhere) {
  const std::string data = segment();
  const auto whole = items(data);
  std::mt19937_64 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string bad = data;
    const std::size_t at = random() % (round % 2 == 0 ? 250 : bad.size());
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    const auto some = items(bad);
    ASSERT_LT(some.size(), whole.size()) << at;
    for (std::size_t i = 0; i < some.size(); ++i) {
      EXPECT_EQ(some[i].sequence, whole[i].sequence);
      EXPECT_EQ(some[i].entry.text, whole[i].entry.text);
    }
  }
}

TEST(LogSegment, AnotherFormatIsRefused) {
  std::string data = segment();
  EXPECT_FALSE(SegmentReader::open(""));
  EXPECT_FALSE(SegmentReader::open("OWTELLOG"));
  data[8] = 2;
  const auto reader = SegmentReader::open(data);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().message, "a segment of another format");
}

}  // namespace
}  // namespace overwinter::telemetry
