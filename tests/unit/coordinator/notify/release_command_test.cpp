#include "coordinator/notify/release_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace overwinter::notify {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ReleaseCommand : public testing::Test {
 protected:
  ReleaseCommand() {
    std::string name = (std::filesystem::path(testing::TempDir()) / "release-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~ReleaseCommand() override { std::filesystem::remove_all(folder_); }

  // A program that runs these lines of sh.
  [[nodiscard]] std::string program(const std::string& lines) const {
    const std::string path = (folder_ / "release").string();
    std::ofstream(path) << "#!/bin/sh\n" << lines;
    EXPECT_EQ(::chmod(path.c_str(), 0700), 0);
    return path;
  }
  [[nodiscard]] std::string out() const { return (folder_ / "out").string(); }
  [[nodiscard]] static std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
  std::atomic<bool> stop_{false};
};

TEST_F(ReleaseCommand, RunsWithTheWorkersNameAndNothingElse) {
  ::setenv("OVERWINTER_TEST_SECRET", "hidden", 1);
  const std::string path = program("env > " + out() + "\necho \"$0 $@\" >> " + out() +
                                   "\nls /proc/self/fd | wc -l >> " + out() + "\npwd >> " + out());
  const Status status = run_release_command({path, "--name={worker}", "$(id)", "{worker}{worker}"},
                                            "w-3", kReleaseTime, stop_);
  ::unsetenv("OVERWINTER_TEST_SECRET");
  EXPECT_TRUE(status.ok()) << status.message;
  const std::string text = text_of(out());
  EXPECT_THAT(text, HasSubstr("OVERWINTER_WORKER=w-3\n"));
  EXPECT_THAT(text, HasSubstr("PATH=/usr/local/sbin:"));
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_EQ(text.find("HOME="), std::string::npos);
  EXPECT_THAT(text, HasSubstr(path + " --name=w-3 $(id) w-3w-3\n")) << "no shell reads it";
  EXPECT_THAT(text, HasSubstr("\n4\n/\n")) << "standard input, output and error, and ls's own";
}

TEST_F(ReleaseCommand, HowItEnded) {
  EXPECT_EQ(run_release_command({program("exit 3")}, "w", kReleaseTime, stop_).message,
            "the release command ended with exit code 3");
  EXPECT_EQ(run_release_command({program("kill -TERM $$")}, "w", kReleaseTime, stop_).message,
            "the release command was killed by signal 15");
  EXPECT_THAT(run_release_command({"/nowhere/release"}, "w", kReleaseTime, stop_).message,
              StartsWith("the release command could not be started: "));
}

TEST_F(ReleaseCommand, ANameThatCouldMeanMoreIsRefused) {
  for (const char* bad : {"", "-rf", "a b", "a;b", "$(x)", "a/b", "ü", ".hidden"}) {
    EXPECT_FALSE(safe_worker_name(bad)) << bad;
    EXPECT_EQ(run_release_command({program("true")}, bad, kReleaseTime, stop_).code,
              Code::kInvalidArgument);
  }
  EXPECT_FALSE(safe_worker_name(std::string(64, 'a')));
  EXPECT_TRUE(safe_worker_name("gpu-1.example_x"));
}

// Signals that the coordinator blocks or ignores are the command's own again.
TEST_F(ReleaseCommand, SignalsAreAsUsual) {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &set, &before), 0);
  const auto old = std::signal(SIGPIPE, SIG_IGN);
  // Of grep, which has them from the shell: a shell blocks them all while it starts a command.
  const Status status = run_release_command(
      {program("grep -E '^Sig(Blk|Ign)' /proc/self/status > " + out())}, "w", kReleaseTime, stop_);
  std::signal(SIGPIPE, old);
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_THAT(text_of(out()), HasSubstr("SigBlk:\t0000000000000000"));
  // But for the two that the C library keeps for its threads.
  const std::string ignored = text_of(out());
  const auto mask = std::stoull(ignored.substr(ignored.find("SigIgn:") + 7), nullptr, 16);
  EXPECT_EQ(mask & 0x7fffffffULL, 0U);
}

// Waits for the end of a process that is no child of ours.
bool ends(pid_t pid) {
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) return errno == ESRCH;
  pollfd one{process, POLLIN, 0};
  const bool ended = ::poll(&one, 1, 10'000) == 1;
  ::close(process);
  return ended;
}

TEST_F(ReleaseCommand, OneThatTakesTooLongIsKilledWithWhatItStarted) {
  const std::string path = program("sleep 600 &\necho $! > " + out() + "\nwait");
  const Status status = run_release_command({path}, "w", Duration(500), stop_);
  EXPECT_EQ(status.code, Code::kDeadlineExceeded);
  EXPECT_THAT(status.message, HasSubstr("took longer than 500ms and was killed"));
  EXPECT_TRUE(ends(std::atoi(text_of(out()).c_str())));
}

TEST_F(ReleaseCommand, TheCoordinatorsEndIsItsEnd) {
  const std::string path = program("sleep 600");
  std::thread stopper([this] { stop_ = true; });
  const Status status = run_release_command({path}, "w", kReleaseTime, stop_);
  stopper.join();
  EXPECT_EQ(status.code, Code::kCancelled);
}

TEST_F(ReleaseCommand, WhatItLeavesRunningEndsToo) {
  const std::string path = program("sleep 600 &\necho $! > " + out());
  EXPECT_TRUE(run_release_command({path}, "w", kReleaseTime, stop_).ok());
  EXPECT_TRUE(ends(std::atoi(text_of(out()).c_str())));
}

}  // namespace
}  // namespace overwinter::notify
