#include "worker/exec/memory_limit.h"

#include <fmt/core.h>

#include <fstream>
#include <set>

#include "common/base/bytes.h"
#include "tests/unit/worker/exec/tree_fixture.h"

namespace overwinter::worker::exec {
namespace {

using testing::HasSubstr;

// A machine's cgroup files in a map.
class FakeCgroups final : public CgroupAccess {
 public:
  std::map<std::string, std::string> files;
  std::set<std::string> writable;  // "folder file": groups made there have the file
  bool delegated = false;
  std::vector<std::string> moved;

  std::optional<std::string> read(const std::string& path) override {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  }
  bool can_make_group(const std::string& folder, const std::string& file) override {
    return writable.contains(folder + " " + file);
  }
  bool move_into_leaf(const std::string& folder) override {
    moved.push_back(folder);
    if (!delegated) return false;
    files[folder + "/cgroup.subtree_control"] = "memory\n";
    writable.insert(folder + " memory.max");
    return true;
  }
};

constexpr const char* kMount2 = "30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

FakeCgroups stock_debian(const std::string& own) {
  FakeCgroups fake;
  fake.files["/proc/self/cgroup"] = "0::" + own + "\n";
  fake.files["/proc/self/mountinfo"] = kMount2;
  fake.files["/sys/fs/cgroup/cgroup.subtree_control"] = "cpu memory pids\n";
  fake.files["/sys/fs/cgroup/system.slice/cgroup.subtree_control"] = "memory pids\n";
  const std::string folder = "/sys/fs/cgroup" + own;
  fake.files[folder + "/cgroup.controllers"] = "cpu memory pids\n";
  fake.files[folder + "/cgroup.subtree_control"] = "\n";
  fake.files[folder + "/cgroup.procs"] = fmt::format("{}\n", ::getpid());
  return fake;
}

TEST(MemorySupportTest, StockDebianAsRootMakesGroupsBesideItsOwn) {
  FakeCgroups fake = stock_debian("/system.slice/overwinter-worker.service");
  fake.writable = {"/sys/fs/cgroup/system.slice memory.max", "/sys/fs/cgroup memory.max"};
  const MemorySupport support = detect_memory_support(fake);
  EXPECT_EQ(support.kind, MemoryKind::kCgroup2);
  EXPECT_EQ(support.memory_folder, "/sys/fs/cgroup/system.slice");
  EXPECT_EQ(support.kill_folder, support.memory_folder);
  EXPECT_EQ(support.describe(), "cgroup v2");
  EXPECT_TRUE(fake.moved.empty());
}

TEST(MemorySupportTest, ADelegatedServiceMovesIntoALeaf) {
  FakeCgroups fake = stock_debian("/system.slice/overwinter-worker.service");
  fake.delegated = true;
  const MemorySupport support = detect_memory_support(fake);
  EXPECT_EQ(support.kind, MemoryKind::kCgroup2);
  EXPECT_EQ(support.memory_folder, "/sys/fs/cgroup/system.slice/overwinter-worker.service");
}

TEST(MemorySupportTest, NeverMovesAProcessOfSomebodyElse) {
  FakeCgroups fake = stock_debian("/user.slice/session-1.scope");
  fake.delegated = true;
  fake.files["/sys/fs/cgroup/user.slice/session-1.scope/cgroup.procs"] =
      fmt::format("1\n{}\n", ::getpid());
  const MemorySupport support = detect_memory_support(fake);
  EXPECT_EQ(support.kind, MemoryKind::kWatchdog);
  EXPECT_TRUE(fake.moved.empty());
  EXPECT_THAT(support.describe(), HasSubstr("watchdog (no group"));
}

TEST(MemorySupportTest, MemoryOnV1WithAV2TreeThatOnlyKills) {
  FakeCgroups fake;
  fake.files["/proc/self/cgroup"] = "4:memory:/api/x\n1:cpu,cpuacct:/\n0::/\n";
  fake.files["/proc/self/mountinfo"] =
      "34 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "38 30 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  fake.files["/sys/fs/cgroup/unified/cgroup.subtree_control"] = "\n";
  fake.writable = {"/sys/fs/cgroup/memory/api/x memory.limit_in_bytes",
                   "/sys/fs/cgroup/unified cgroup.kill"};
  const MemorySupport support = detect_memory_support(fake);
  EXPECT_EQ(support.kind, MemoryKind::kCgroup1);
  EXPECT_EQ(support.memory_folder, "/sys/fs/cgroup/memory/api/x");
  EXPECT_EQ(support.kill_folder, "/sys/fs/cgroup/unified");
}

TEST(MemorySupportTest, ADefaultContainerHasAWatchdogAndSaysWhy) {
  FakeCgroups fake = stock_debian("/");
  fake.files["/proc/self/cgroup"] = "0::/\n";
  fake.files["/sys/fs/cgroup/cgroup.subtree_control"] = "\n";
  const MemorySupport support = detect_memory_support(fake);
  EXPECT_EQ(support.kind, MemoryKind::kWatchdog);
  EXPECT_THAT(support.why, HasSubstr("/sys/fs/cgroup"));
  FakeCgroups none;
  EXPECT_THAT(detect_memory_support(none).why, HasSubstr("no cgroup hierarchy"));
}

TEST(MemorySupportTest, PlacesOfContainersAndOddNames) {
  const std::string inside = "5 4 0:3 /docker/a /sys/fs/cgroup/memory ro - cgroup c rw,memory\n";
  const auto place = find_cgroup("4:memory:/docker/a/b\n", inside, "memory");
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->own, "/sys/fs/cgroup/memory/b");
  EXPECT_FALSE(find_cgroup("4:memory:/docker/other\n", inside, "memory").has_value());
  EXPECT_FALSE(find_cgroup("0::/../x\n", kMount2, "").has_value());
  EXPECT_EQ(find_cgroup("0::/\n", "5 4 0:3 / /a\\040b rw - cgroup2 c rw\n", "")->own, "/a b");
  EXPECT_FALSE(find_cgroup("", "garbage\n - \n", "").has_value());
}

class MemoryLimitTest : public TreeTest {
 protected:
  TreeOrder filling(const MemorySupport& support, std::uint64_t limit, const std::string& program) {
    TreeOrder order = this->order("", root() ? As::kOwnUid : As::kSameUid);
    order.processes[0].argv = {"/usr/bin/python3", "-c", program};
    order.memory.support = support;
    order.memory.limit_bytes = limit;
    return order;
  }
};

// A second process, out of session, which must go with the one that is over the limit.
constexpr const char* kForkAndFill = R"(
import os, signal
if os.fork() == 0:
    os.setsid()
    signal.pause()
data = b"x" * (3 << 30)
print("filled")
)";

TEST_F(MemoryLimitTest, ThisMachinesOwnKindEndsTheWholeTree) {
  const MemorySupport support = detect_memory_support();
  std::printf("this machine: %s\n", support.describe().c_str());
  const TreeEnd end = run(filling(support, kGiB / 4, kForkAndFill));
  EXPECT_TRUE(end.over_limit);
  EXPECT_EQ(end.limit_bytes, kGiB / 4);
  EXPECT_GE(end.peak_bytes, kGiB / 4 - 8 * kMiB);
  EXPECT_LE(end.peak_bytes, kGiB / 4 * 105 / 100);
  EXPECT_EQ(end.left, 0U);
  EXPECT_TRUE(recorder_.lines().empty()) << recorder_.text();
  if (!support.memory_folder.empty()) {
    EXPECT_FALSE(std::filesystem::exists(support.memory_folder + "/overwinter-test-" +
                                         std::to_string(::getpid())));
  }
}

TEST_F(MemoryLimitTest, TheWatchdogOvershootsByLessThanATwentieth) {
  const TreeEnd end = run(filling({}, kGiB / 4, kForkAndFill));
  EXPECT_TRUE(end.over_limit);
  EXPECT_EQ(end.left, 0U);
  EXPECT_GT(end.peak_bytes, kGiB / 4);
  EXPECT_LE(end.peak_bytes, kGiB / 4 * 105 / 100);
}

TEST_F(MemoryLimitTest, ForkedProcessesThatShareTheirPagesAreCountedOnce) {
  const TreeEnd end = run(filling({}, 180 * kMiB, R"(
import os
data = b"x" * (100 << 20)
children = []
for i in range(3):
    child = os.fork()
    if child == 0:
        sum(range(20_000_000)); os._exit(0)  # long enough to be seen together
    children.append(child)
for child in children: os.waitpid(child, 0)
print("shared")
)"));
  EXPECT_FALSE(end.over_limit);
  EXPECT_EQ(recorder_.text(), "shared\n");
  EXPECT_GE(end.peak_bytes, 100 * kMiB);
  EXPECT_LE(end.peak_bytes, 180 * kMiB);
}

TEST_F(MemoryLimitTest, WhatATreeHoldsNowIsToldWhileItRuns) {
  for (const MemorySupport& support : {detect_memory_support(), MemorySupport{}}) {
    SCOPED_TRACE(support.describe());
    Recorder recorder;
    const auto tree = ProcessTree::start(filling(support, kGiB, R"(
import os, time
data = b"x" * (200 << 20)
while not os.path.exists("free"): time.sleep(0.02)
del data
while not os.path.exists("end"): time.sleep(0.02)
)"),
                                         recorder);
    ASSERT_TRUE(tree) << tree.error().message;
    recorder.wait_memory(200 * kMiB, 260 * kMiB);
    std::ofstream(job_ / "free") << "now";
    recorder.wait_memory(1, 100 * kMiB);
    std::ofstream(job_ / "end") << "now";
    const TreeEnd end = recorder.wait_finished();
    EXPECT_TRUE(end.processes[0].succeeded()) << recorder.text();
    EXPECT_GE(end.peak_bytes, 200 * kMiB);
    std::filesystem::remove(job_ / "free");
    std::filesystem::remove(job_ / "end");
  }
}

TEST_F(MemoryLimitTest, ATreeWithinItsLimitEndsByItselfAndItsPeakIsKnown) {
  const TreeEnd end =
      run(filling(detect_memory_support(), kGiB, "x = b'x' * (100 << 20); print('done')"));
  EXPECT_FALSE(end.over_limit);
  EXPECT_TRUE(end.processes[0].succeeded());
  EXPECT_GE(end.peak_bytes, 100 * kMiB);
  EXPECT_LE(end.peak_bytes, 200 * kMiB);
}

}  // namespace
}  // namespace overwinter::worker::exec
