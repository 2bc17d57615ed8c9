// Real trees of processes for the tests of this room: a folder as a job has it, a uid as root may
// give it, and an observer that can be waited for.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "worker/exec/confinement.h"
#include "worker/exec/process_table.h"
#include "worker/exec/process_tree.h"

namespace overwinter::worker::exec {

inline constexpr std::chrono::seconds kDeadline{60};

// What a tree did. Thread-safe.
class Recorder final : public TreeObserver {
 public:
  void started(std::size_t, pid_t pid) override {
    const MutexLock lock(mutex_);
    pids_.push_back(pid);
    changed_.notify_all();
  }
  void ended(std::size_t, const ProcessEnd&) override {
    const MutexLock lock(mutex_);
    ++ended_;
    changed_.notify_all();
  }
  void line(std::size_t process, Stream, std::string_view text) override {
    const MutexLock lock(mutex_);
    lines_[process].emplace_back(text);
    changed_.notify_all();
  }
  void dropped(std::size_t, Stream, std::uint64_t bytes) override {
    const MutexLock lock(mutex_);
    dropped_ += bytes;
  }
  void memory(std::uint64_t used_bytes, std::uint64_t) override {
    const MutexLock lock(mutex_);
    used_ = used_bytes;
    changed_.notify_all();
  }
  void finished(const TreeEnd& end) override {
    const MutexLock lock(mutex_);
    end_ = end;
    changed_.notify_all();
  }

  TreeEnd wait_finished() {
    wait([this]() OW_REQUIRES(mutex_) { return end_.has_value(); }, "the tree's end");
    const MutexLock lock(mutex_);
    return end_.value_or(TreeEnd{});
  }
  void wait_line(const std::string& text, std::size_t count = 1) {
    wait(
        [&]() OW_REQUIRES(mutex_) {
          std::size_t found = 0;
          for (const auto& [process, lines] : lines_)
            for (const std::string& line : lines) found += line == text ? 1 : 0;
          return found >= count || end_.has_value();
        },
        "the line " + text);
  }
  // Until that much, at least or at most, is held.
  void wait_memory(std::uint64_t least, std::uint64_t most) {
    wait([&]()
             OW_REQUIRES(mutex_) { return (used_ >= least && used_ <= most) || end_.has_value(); },
         "its memory");
  }
  std::vector<std::string> lines(std::size_t process = 0) {
    const MutexLock lock(mutex_);
    return lines_[process];
  }
  std::string text(std::size_t process = 0) {
    std::string all;
    for (const std::string& line : lines(process)) all += line + "\n";
    return all;
  }
  std::uint64_t dropped_bytes() {
    const MutexLock lock(mutex_);
    return dropped_;
  }

 private:
  template <class Holds>
  void wait(Holds holds, const std::string& what) {
    const auto until = std::chrono::steady_clock::now() + kDeadline;
    const MutexLock lock(mutex_);
    while (!holds())
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) {
        ADD_FAILURE() << "waited in vain for " << what;
        return;
      }
  }

  Mutex mutex_;
  Condition changed_;
  std::vector<pid_t> pids_ OW_GUARDED_BY(mutex_);
  std::map<std::size_t, std::vector<std::string>> lines_ OW_GUARDED_BY(mutex_);
  std::uint64_t dropped_ OW_GUARDED_BY(mutex_) = 0;
  std::uint64_t used_ OW_GUARDED_BY(mutex_) = 0;
  std::size_t ended_ OW_GUARDED_BY(mutex_) = 0;
  std::optional<TreeEnd> end_ OW_GUARDED_BY(mutex_);
};

// How the test's processes run.
enum class As { kOwnUid, kSameUid };
inline std::string name_of(const testing::TestParamInfo<As>& parameter) {
  return parameter.param == As::kOwnUid ? "OwnUid" : "SameUid";
}

class TreeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (std::filesystem::temp_directory_path() / "tree-XXXXXX").string();
    ASSERT_NE(::mkdtemp(form.data()), nullptr);
    base_ = form;
    ASSERT_EQ(::chmod(base_.c_str(), 0711), 0);
    job_ = base_ / "job";
    std::filesystem::create_directories(job_);
    ASSERT_EQ(::chmod(job_.c_str(), 0700), 0);
  }
  void TearDown() override { std::filesystem::remove_all(base_); }

  static bool root() { return ::geteuid() == 0; }
  // Far above those that daemons on this machine give out; one a test program.
  // This program's alone: a tree that ends ends all of its uid, and tests run beside each other. A
  // name in the abstract namespace is held until the program ends.
  static uid_t test_uid() {
    static const uid_t claimed = [] {
      for (uid_t uid = 61900; uid < 61990; ++uid) {
        const int held = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        const std::string text = "overwinter-test-uid-" + std::to_string(uid);
        std::copy(text.begin(), text.end(), name.sun_path + 1);
        const auto size = offsetof(sockaddr_un, sun_path) + 1 + text.size();
        if (::bind(held, reinterpret_cast<const sockaddr*>(&name), static_cast<socklen_t>(size)) ==
            0)
          return uid;
        ::close(held);
      }
      ADD_FAILURE() << "no uid is free for a test's programs";
      return uid_t{61990};
    }();
    return claimed;
  }

  // One process that runs `script` by bash.
  TreeOrder order(const std::string& script, As as) {
    TreeOrder order;
    order.processes.push_back(process(script));
    order.folder = job_.string();
    order.confinement.grants = common_grants();
    order.confinement.grants.push_back({job_.string(), Access::kReadWrite});
    if (as == As::kOwnUid) {
      order.confinement.uid = test_uid();
      EXPECT_EQ(::chown(job_.c_str(), test_uid(), test_uid()), 0);
    }
    order.memory.name = "overwinter-test-" + std::to_string(::getpid());
    return order;
  }
  ProcessOrder process(const std::string& script) const {
    return {{"bash", "-c", script},
            {{"PATH", "/usr/bin:/bin"}, {"HOME", job_.string()}, {"TMPDIR", job_.string()}}};
  }
  TreeEnd run(const TreeOrder& order) {
    auto tree = ProcessTree::start(order, recorder_);
    EXPECT_TRUE(tree.has_value()) << tree.error().message;
    if (!tree) return {};
    return recorder_.wait_finished();
  }

  std::filesystem::path base_;
  std::filesystem::path job_;
  Recorder recorder_;
};

}  // namespace overwinter::worker::exec
