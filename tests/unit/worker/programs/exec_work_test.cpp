#include "worker/programs/exec_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/worker/programs/exec_work_room.h"

namespace overwinter::worker::test {
namespace {

using testing::HasSubstr;

TEST_F(ExecWorkTest, RunsInItsWorkdirAndTellsWhatItPrints) {
  with_file("hello.txt", "from the workdir");
  bash("cat hello.txt; echo; echo 'overwinter: step=7 loss=0.5'; echo error >&2");
  run();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kCompleted) << how.message;
  EXPECT_EQ(how.exit.step, 7U);
  EXPECT_THAT(ports_.text(), HasSubstr("from the workdir\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("error\n"));
  EXPECT_EQ(ports_.points("loss"), (std::map<std::uint64_t, double>{{7, 0.5}}));
  EXPECT_EQ(ports_.ranks_up(), std::set<std::uint32_t>{0});
}

TEST_F(ExecWorkTest, AWorkerThatRunsNoneRefusesByItself) {
  site_.confinement.why_not = "--no-exec";
  bash("true");
  EXPECT_EQ(prepare().message, "--no-exec");
}

TEST_F(ExecWorkTest, EachDeviceHasAProcessThatKnowsItsRank) {
  bash("echo rank $RANK of $WORLD_SIZE");
  run(3);
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(ports_.text(i), "rank " + std::to_string(i) + " of 3\n");
}

TEST_F(ExecWorkTest, TheFirstFailureIsNamedAndEndsTheOthers) {
  bash("if [ $RANK = 1 ]; then exit 5; fi; sleep 1000");
  run(2);
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_EQ(how.message, "the program ended with exit code 5");
  EXPECT_EQ(how.exit.exit_code, 5);
  EXPECT_EQ(how.exit.rank, 1U);
}

TEST_F(ExecWorkTest, WhatHadFailedBeforeItWasKilledIsNamed) {
  bash("if [ $RANK = 1 ]; then exit 5; fi; trap 'echo told' TERM; while true; do sleep 0.05; done");
  run(2);
  ports_.wait_line("told");
  work_->kill();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_EQ(how.exit.exit_code, 5);
  EXPECT_EQ(how.exit.rank, 1U);
}

TEST_F(ExecWorkTest, AMissingProgramIsSaid) {
  spec_.mutable_exec()->add_argv("no-such-program");
  run();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message, HasSubstr("no-such-program"));
}

TEST_F(ExecWorkTest, SecretsAndVariablesReachIt) {
  spec_.mutable_exec()->add_secrets("TOKEN");
  (*spec_.mutable_exec()->mutable_env())["COLOUR"] = "red";
  bash("echo $TOKEN $COLOUR $OVERWINTER_ATTEMPT");
  run();
  ports_.wait_over();
  EXPECT_EQ(ports_.text(), "hush red 1\n");
}

TEST_F(ExecWorkTest, SetupRunsOnceAndItsFailureIsKept) {
  with_file("given", "1");
  spec_.mutable_exec()->set_setup("echo made > made; echo ran >> " + (base_ / "x").string() +
                                  " || true; echo setting up");
  bash("cat made given");
  run();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_THAT(ports_.text(), HasSubstr("setup: setting up\n"));
  EXPECT_GE(ports_.said_before(), 1);
  EXPECT_THAT(ports_.text(), HasSubstr("made\n1"));
  const auto said = ports_.text();
  work_.reset();
  ASSERT_TRUE(prepare().ok());
  EXPECT_EQ(ports_.text(), said) << "not again";
  work_.reset();
  spec_.mutable_exec()->set_setup("echo no disk for it; exit 9");
  for (int i = 0; i < 2; ++i) {
    const Status failed = prepare();
    EXPECT_EQ(failed.code, Code::kFailedPrecondition);
    EXPECT_THAT(failed.message, HasSubstr("exit code 9: no disk for it"));
    work_.reset();
  }
}

TEST_F(ExecWorkTest, WholeCheckpointsAreCollectedAndTheLastOneAtItsEnd) {
  spec_.mutable_exec()->set_checkpoint_dir("ckpt");
  bash(
      "echo one > ckpt/state.tmp; mv ckpt/state.tmp ckpt/state; echo 'overwinter: step=10'\n"
      "while [ ! -e go ]; do if [ -e $OVERWINTER_STOP_FILE ]; then break; fi; sleep 0.05; done\n"
      "echo two > ckpt/state; echo 'overwinter: step=20'");
  run();
  ports_.wait_stored();
  EXPECT_EQ(ports_.stored().begin()->second.at("state"), "one\n");
  work_->wind_down();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kStopped) << how.message;
  EXPECT_EQ(ports_.stored().rbegin()->second.at("state"), "two\n");
  EXPECT_EQ(ports_.stored().rbegin()->first, 20U);
}

TEST_F(ExecWorkTest, GoesOnFromTheCheckpointThatWasRestored) {
  spec_.mutable_exec()->set_checkpoint_dir("ckpt");
  bash("echo from $(cat ckpt/state); echo new > ckpt/state");
  ASSERT_TRUE(prepare(30).ok());
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_EQ(ports_.text(), "from 30\n");
  ASSERT_EQ(ports_.stored().size(), 1U) << "what was restored is no news";
  EXPECT_EQ(ports_.stored().begin()->first, 31U) << "a count that goes on";
}

TEST_F(ExecWorkTest, OutputsLeaveWhenItHasSucceeded) {
  spec_.mutable_exec()->add_outputs("out");
  spec_.mutable_exec()->add_outputs("missing");
  bash("mkdir out; echo answer > out/a; ln -s /etc/passwd out/link");
  run();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_THAT(ports_.outputs(), HasSubstr("out/a"));
  EXPECT_THAT(ports_.outputs(), HasSubstr("answer\n"));
  EXPECT_THAT(ports_.outputs(), testing::Not(HasSubstr("root:")));
  EXPECT_THAT(ports_.text(), HasSubstr("no output missing was made"));
}

TEST_F(ExecWorkTest, TheFolderOfOneThatFailedIsKept) {
  with_file("given", "1");
  bash("echo half > result; exit 4");
  run();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kFailed);
  EXPECT_THAT(ports_.workdir(), HasSubstr("half\n"));
  EXPECT_THAT(ports_.workdir(), HasSubstr("given"));
}

TEST_F(ExecWorkTest, WhatIgnoresItsSignalIsKilledAfterTheGrace) {
  spec_.mutable_stop()->mutable_grace()->set_nanos(200'000'000);
  bash("trap '' TERM; echo up; while true; do sleep 0.05; done");
  run();
  ports_.wait_line("up");
  work_->wind_down();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kStopped);
}

TEST_F(ExecWorkTest, WhatItHoldsIsToldWhileItIsSilentAndIsNothingAtItsEnd) {
  bash(R"(echo at $PWD
python3 -c 'import time; x = b"x" * (200 << 20); time.sleep(1000)' & hog=$!
while [ ! -e free ]; do sleep 0.05; done
kill $hog
while [ ! -e end ]; do sleep 0.05; done)");
  run(2);
  const fs::path folder = ports_.wait_word("at");
  // Of a tree of twice 200 MiB each device is told half.
  for (const std::uint32_t rank : {0U, 1U}) ports_.wait_used(200 * kMib, 250 * kMib, rank);
  std::ofstream(folder / "free") << "now";
  for (const std::uint32_t rank : {0U, 1U}) ports_.wait_used(1, 100 * kMib, rank);
  std::ofstream(folder / "end") << "now";
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted) << ports_.text();
  for (const std::uint32_t rank : {0U, 1U}) EXPECT_EQ(ports_.used(rank), 0U);
  EXPECT_GE(ports_.peak(), 200 * kMib);
}

TEST_F(ExecWorkTest, KilledItLeavesNothing) {
  bash("echo up; (setsid sleep 1000 &) ; sleep 1000");
  run();
  ports_.wait_line("up");
  work_->kill();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kPeerLost);
  work_.reset();
  EXPECT_TRUE(fs::is_empty(base_ / "jobs" / "test"));
}

}  // namespace
}  // namespace overwinter::worker::test
