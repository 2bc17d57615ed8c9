#include "worker/runtime/gang_text.h"

#include <gtest/gtest.h>

namespace overwinter::worker {
namespace {

TEST(LineReader, lines_come_whole_and_long_ones_in_pieces) {
  LineReader reader;
  reader.append("one\ntw");
  EXPECT_EQ(reader.lines(false), std::vector<std::string>{"one"});
  reader.append("o\n\nrest");
  EXPECT_EQ(reader.lines(false), (std::vector<std::string>{"two", ""}));
  EXPECT_EQ(reader.lines(true), std::vector<std::string>{"rest"});
  reader.append(std::string(LineReader::kLineBytesMax * 2 + 5, 'x'));
  EXPECT_EQ(reader.lines(false).size(), 2U);
  reader.append("\n");
  EXPECT_EQ(reader.lines(false), std::vector<std::string>{"xxxxx"});
}

TEST(Tag, says_whose_line_it_is) {
  const GangOutput out = read_tag("[1,3]<stdout>:loss 2.5");
  EXPECT_EQ(out.rank, 3U);
  EXPECT_FALSE(out.error);
  EXPECT_EQ(out.text, "loss 2.5");
  const GangOutput errors = read_tag("[1,12]<stderr>:[a,b]");
  EXPECT_EQ(errors.rank, 12U);
  EXPECT_TRUE(errors.error);
  EXPECT_EQ(errors.text, "[a,b]");
  for (const char* own : {"[host:123] mpirun says", "", "[1,x]<stdout>:", "[1,2]<other>:x"}) {
    const GangOutput line = read_tag(own);
    EXPECT_FALSE(line.rank) << own;
    EXPECT_EQ(line.text, own);
  }
}

TEST(Notice, who_ended_first_by_a_signal) {
  NoticeReader reader;
  reader.take("--------------------------------------------------------------------------");
  reader.take(
      "mpirun noticed that process rank 4 with PID 0 on node a exited on signal 9 (Killed).");
  reader.take("mpirun noticed that process rank 1 with PID 0 on node a exited on signal 15 (x).");
  ASSERT_TRUE(reader.first());
  EXPECT_EQ(reader.first()->rank, 4U);
  EXPECT_EQ(reader.first()->signal, 9);
  EXPECT_FALSE(reader.first()->exit_code);
}

TEST(Notice, who_ended_first_by_its_exit_code) {
  NoticeReader reader;
  reader.take(
      "mpirun detected that one or more processes exited with non-zero status, thus causing");
  reader.take("  Process name: [[37047,1],2]");
  EXPECT_FALSE(reader.first());
  reader.take("  Exit code:    3");
  ASSERT_TRUE(reader.first());
  EXPECT_EQ(reader.first()->rank, 2U);
  EXPECT_EQ(reader.first()->exit_code, 3);
  EXPECT_EQ(reader.said().substr(0, 15), "mpirun detected");
}

}  // namespace
}  // namespace overwinter::worker
