#include "coordinator/notify/release_command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "coordinator/notify/settings.h"

namespace overwinter::notify {
namespace {

constexpr int kLookEveryMs = 100;
constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<std::string> with_worker(const std::vector<std::string>& command,
                                     const std::string& worker) {
  std::vector<std::string> out = command;
  for (std::string& part : out) {
    for (auto at = part.find(kWorkerPlace); at != std::string::npos;
         at = part.find(kWorkerPlace, at + worker.size())) {
      part.replace(at, kWorkerPlace.size(), worker);
    }
  }
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// A child with a group of its own, the default signals and no descriptor but /dev/null three times.
class SpawnSettings {
 public:
  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, 0, 1);
    ::posix_spawn_file_actions_adddup2(&actions_, 0, 2);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    ::posix_spawn_file_actions_addchdir_np(&actions_, "/");
    ::posix_spawnattr_init(&attributes_);
    sigset_t set;
    sigemptyset(&set);
    ::posix_spawnattr_setsigmask(&attributes_, &set);
    sigfillset(&set);
    ::posix_spawnattr_setsigdefault(&attributes_, &set);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  [[nodiscard]] const posix_spawn_file_actions_t* actions() const { return &actions_; }
  [[nodiscard]] const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

enum class End { kByItself, kLate, kStopped };

End wait_for_end(int process, Duration limit, const std::atomic<bool>& stop) {
  const auto until = std::chrono::steady_clock::now() + limit;
  for (;;) {
    pollfd one{process, POLLIN, 0};
    if (::poll(&one, 1, kLookEveryMs) > 0) return End::kByItself;
    if (stop) return End::kStopped;
    if (std::chrono::steady_clock::now() >= until) return End::kLate;
  }
}

Status status_of(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Status::success();
  const std::string how = WIFEXITED(status)
                              ? "ended with exit code " + std::to_string(WEXITSTATUS(status))
                              : "was killed by signal " + std::to_string(WTERMSIG(status));
  return error(Code::kAborted, "the release command " + how);
}

}  // namespace

bool safe_worker_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 63 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || c == '-' || c == '_' || c == '.'; });
}

Status run_release_command(const std::vector<std::string>& command, const std::string& worker,
                           Duration limit, const std::atomic<bool>& stop) {
  if (!safe_worker_name(worker)) {
    return error(Code::kInvalidArgument, "the worker's name cannot stand in a command");
  }
  std::vector<std::string> parts = with_worker(command, worker);
  std::vector<std::string> variables{kPath, "OVERWINTER_WORKER=" + worker};
  const std::vector<char*> argv = pointers(parts);
  const std::vector<char*> envp = pointers(variables);
  const SpawnSettings settings;
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, argv.front(), settings.actions(), settings.attributes(),
                                   argv.data(), envp.data());
  if (failed != 0) {
    return error(Code::kFailedPrecondition,
                 "the release command could not be started: " + std::string(::strerror(failed)));
  }
  // By its number: glibc 2.36 declares the call for C alone.
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  const End end = process < 0 ? End::kLate : wait_for_end(process, limit, stop);
  if (process >= 0) ::close(process);
  // What it has started goes with it, whichever way it ended: its group is its own.
  ::kill(-pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (end == End::kStopped) return error(Code::kCancelled, "the release command was stopped");
  if (end == End::kLate) {
    return error(Code::kDeadlineExceeded, "the release command took longer than " +
                                              format_duration(limit) + " and was killed");
  }
  return status_of(status);
}

}  // namespace overwinter::notify
