#include "worker/runtime/kept_program.h"

#include <gtest/gtest.h>
#include <unistd.h>

// What it does with real processes: tests/integration/gang_launch_test.py.
namespace overwinter::worker {
namespace {

TEST(KeeperWord, is_read_strictly) {
  const auto reaped = parse_keeper_word("reaped 12 9");
  ASSERT_TRUE(reaped);
  EXPECT_EQ(reaped->kind, KeeperWord::Kind::kReaped);
  EXPECT_EQ(reaped->pid, 12);
  EXPECT_EQ(reaped->number, 9);
  EXPECT_EQ(parse_keeper_word("started 7")->pid, 7);
  EXPECT_EQ(parse_keeper_word("failed 2")->number, 2);
  EXPECT_EQ(parse_keeper_word("ended 256")->number, 256);
  EXPECT_EQ(parse_keeper_word("gone")->kind, KeeperWord::Kind::kGone);
  for (const char* bad :
       {"", "gone 1", "started", "started x", "reaped 1", "ended 1 2", "other 1"}) {
    EXPECT_FALSE(parse_keeper_word(bad)) << bad;
  }
}

TEST(KeeperWord, wait_statuses_in_words) {
  EXPECT_EQ(describe_wait_status(3 << 8), "exit code 3");
  EXPECT_EQ(describe_wait_status(9), "signal 9 (Killed)");
}

TEST(KeptProgram, a_keeper_that_is_not_there_is_gone_at_once) {
  KeptCommand command;
  command.keeper = "/nonexistent";
  command.command = {"/bin/true"};
  auto program = KeptProgram::start(command);
  ASSERT_TRUE(program);
  bool gone = false;
  while (!gone) {
    for (const KeeperWord& word : program->words()) gone = word.kind == KeeperWord::Kind::kGone;
  }
}

TEST(DescendsFrom, follows_parents) {
  EXPECT_TRUE(descends_from(::getpid(), ::getpid()));
  EXPECT_TRUE(descends_from(::getpid(), ::getppid()));
  EXPECT_FALSE(descends_from(::getppid(), ::getpid()));
  EXPECT_FALSE(descends_from(1 << 30, ::getpid()));
}

}  // namespace
}  // namespace overwinter::worker
