#include "worker/exec/process_tree.h"

#include <fcntl.h>

#include <fstream>

#include "tests/unit/worker/exec/tree_fixture.h"
#include "worker/exec/ending.h"

namespace overwinter::worker::exec {
namespace {

// What twenty times forks away for good: two forks, a session of its own, no signal taken. The
// marker is the name of the loop's program, by which the test finds what is left.
std::string stubborn(const std::string& then) {
  return R"(cat > stubborn.py <<'END'
import os, signal, sys, time
for i in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        print("away", flush=True)
        while True:
            signal.pause()
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
END
/usr/bin/python3 stubborn.py
)" + then;
}

class ProcessTreeTest : public TreeTest, public testing::WithParamInterface<As> {
 protected:
  void SetUp() override {
    TreeTest::SetUp();
    if (GetParam() == As::kOwnUid && !root()) GTEST_SKIP() << "needs root";
    if (GetParam() == As::kSameUid && landlock_abi() < kLandlockScopes)
      GTEST_SKIP() << "needs Landlock scopes";
  }
};

TEST_P(ProcessTreeTest, TellsCodesAndOutputApart) {
  TreeOrder order = this->order("echo one; echo two >&2; exit 7", GetParam());
  order.processes.push_back(process("kill -SEGV $$"));
  order.processes.push_back(process("echo three; exit 0"));
  const TreeEnd end = run(order);
  ASSERT_EQ(end.processes.size(), 3U);
  EXPECT_EQ(end.processes[0].exit_code, 7);
  EXPECT_EQ(end.processes[1].signal, SIGSEGV);
  EXPECT_FALSE(end.processes[1].exit_code.has_value());
  EXPECT_TRUE(end.processes[2].succeeded());
  EXPECT_FALSE(end.told);
  EXPECT_FALSE(end.over_limit);
  EXPECT_EQ(end.left, 0U);
  EXPECT_THAT(recorder_.lines(0), testing::UnorderedElementsAre("one", "two"));
  EXPECT_THAT(recorder_.lines(2), testing::ElementsAre("three"));
}

TEST_P(ProcessTreeTest, AMissingCommandIsRefusedByName) {
  TreeOrder order = this->order("", GetParam());
  order.processes[0].argv = {"no-such-program", "x"};
  const TreeEnd end = run(order);
  EXPECT_EQ(end.refused.code, Code::kNotFound);
  EXPECT_THAT(end.refused.message, testing::HasSubstr("no-such-program"));
  EXPECT_EQ(end.refused_process, 0U);
}

TEST_P(ProcessTreeTest, TwentyThatForkAwayEndWithTheirJob) {
  const TreeEnd end = run(order(stubborn("exit 3"), GetParam()));
  EXPECT_EQ(end.processes[0].exit_code, 3) << recorder_.text();
  EXPECT_EQ(end.left, 0U);
  EXPECT_FALSE(end.keeper_lost);
  if (GetParam() == As::kOwnUid) {
    EXPECT_TRUE(processes_of_uid(test_uid()).empty());
  }
}

TEST_P(ProcessTreeTest, TwentyThatForkAwayEndWhenKilled) {
  auto tree = ProcessTree::start(
      order(stubborn("echo loop; while true; do read; done < /dev/zero"), GetParam()), recorder_);
  ASSERT_TRUE(tree.has_value());
  recorder_.wait_line("away", 20);
  EXPECT_GE(descendants_of((*tree)->keeper()).size(), 20U);
  (*tree)->kill();
  const TreeEnd end = recorder_.wait_finished();
  EXPECT_TRUE(end.told);
  EXPECT_EQ(end.left, 0U);
  if (GetParam() == As::kOwnUid) {
    EXPECT_TRUE(processes_of_uid(test_uid()).empty());
  }
}

TEST_P(ProcessTreeTest, StopIsToldAndTheRestKilledAfterTheGrace) {
  auto tree = ProcessTree::start(
      order("trap 'echo told' TERM; echo ready; while true; do sleep 0.05; done", GetParam()),
      recorder_);
  ASSERT_TRUE(tree.has_value());
  recorder_.wait_line("ready");
  (*tree)->stop(SIGTERM, std::chrono::milliseconds(300));
  const TreeEnd end = recorder_.wait_finished();
  EXPECT_TRUE(end.told);
  EXPECT_EQ(end.processes[0].signal, SIGKILL);
  EXPECT_THAT(recorder_.lines(), testing::Contains("told"));
}

TEST_P(ProcessTreeTest, StopLetsAProgramEndByItself) {
  auto tree = ProcessTree::start(
      order("trap 'exit 9' TERM; echo ready; while true; do sleep 0.05; done", GetParam()),
      recorder_);
  ASSERT_TRUE(tree.has_value());
  recorder_.wait_line("ready");
  (*tree)->stop(SIGTERM, std::chrono::minutes(5));
  EXPECT_EQ(recorder_.wait_finished().processes[0].exit_code, 9);
}

TEST_P(ProcessTreeTest, AKeeperThatIsKilledTakesItsProcessesWithIt) {
  TreeOrder order =
      this->order(stubborn("echo loop; while true; do read; done < /dev/zero"), GetParam());
  if (GetParam() == As::kSameUid) {
    // There a group is what finds them.
    order.memory.support = detect_memory_support();
    if (order.memory.support.kill_folder.empty()) GTEST_SKIP() << "needs a cgroup v2 tree";
  }
  auto tree = ProcessTree::start(order, recorder_);
  ASSERT_TRUE(tree.has_value());
  recorder_.wait_line("away", 20);
  ::kill((*tree)->keeper(), SIGKILL);
  const TreeEnd end = recorder_.wait_finished();
  EXPECT_TRUE(end.keeper_lost);
  EXPECT_EQ(end.left, 0U);
  EXPECT_TRUE(processes_of_uid(test_uid()).empty());
}

TEST_P(ProcessTreeTest, AFloodOfOutputIsCountedAndNotKept) {
  const TreeEnd end =
      run(order("head -c 134217728 /dev/zero | tr '\\0' 'y'; echo; echo last words", GetParam()));
  EXPECT_TRUE(end.processes[0].succeeded());
  EXPECT_GT(recorder_.dropped_bytes(), 100U << 20);
  EXPECT_EQ(recorder_.lines().back(), "last words");
}

TEST_P(ProcessTreeTest, TheEnvironmentIsWhatWasGivenAndNothingElse) {
  ::setenv("OVERWINTER_TEST_SECRET", "canary", 1);
  TreeOrder order = this->order("env | sort; ls -l /proc/self/fd | wc -l; umask; pwd", GetParam());
  order.processes[0].environment["TOKEN"] = "t";
  const TreeEnd end = run(order);
  EXPECT_TRUE(end.processes[0].succeeded());
  const std::string text = recorder_.text();
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("canary")));
  EXPECT_THAT(text, testing::HasSubstr("TOKEN=t\n"));
  EXPECT_THAT(text, testing::HasSubstr("\n5\n0077\n" + job_.string() + "\n"));
}

INSTANTIATE_TEST_SUITE_P(Both, ProcessTreeTest, testing::Values(As::kOwnUid, As::kSameUid),
                         name_of);

TEST(KeeperProtocol, AnOrderComesBackAsItWasAndNoPieceOfItIsTaken) {
  TreeOrder order;
  order.processes.push_back({{"a", "", "b c"}, {{"K", "V"}, {"E", ""}}});
  order.processes.push_back({{"z"}, {}});
  order.folder = "/f";
  order.confinement.uid = 61301;
  order.confinement.groups = {44, 109};
  order.confinement.grants = {{"/usr", Access::kRead}, {"/w", Access::kReadWrite}};
  order.memory = {{MemoryKind::kCgroup1, "/m", "/k", {}}, 12345, "name"};
  order.mounts = {{"/data", "/mnt/x", true}, {"in", "/mnt/y", false}};
  const std::string bytes = encode_order(order);
  const auto back = decode_order(bytes);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(encode_order(*back), bytes);
  EXPECT_EQ(back->processes, order.processes);
  EXPECT_EQ(back->confinement.grants, order.confinement.grants);
  EXPECT_EQ(back->mounts, order.mounts);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode_order(std::string_view(bytes).substr(0, length)).has_value());
  order.confinement.uid = 0;
  EXPECT_FALSE(decode_order(encode_order(order)).has_value());
}

}  // namespace
}  // namespace overwinter::worker::exec
