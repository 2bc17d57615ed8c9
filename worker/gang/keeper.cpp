#include "worker/gang/keeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>
#include <string_view>

namespace overwinter::worker {
namespace {

constexpr int kCannotStart = 127;
constexpr int kKillAgainMs = 20;

void tell(const std::string& word) {
  // A daemon that is gone is noticed by reading.
  [[maybe_unused]] const ssize_t n = ::send(kKeeperSocket, word.data(), word.size(), MSG_NOSIGNAL);
}

// Parent of each process that /proc shows; a process that ends meanwhile is left out.
std::map<pid_t, pid_t> parents() {
  std::map<pid_t, pid_t> out;
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return out;
  while (const dirent* entry = ::readdir(proc)) {
    const pid_t pid = std::atoi(static_cast<const char*>(entry->d_name));
    if (pid <= 0) continue;
    const int file = ::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    std::array<char, 512> text{};
    const ssize_t n = ::read(file, text.data(), text.size() - 1);
    ::close(file);
    const std::string_view line(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    // Behind the name, which may hold anything: ") S PPID ".
    const std::size_t end = line.rfind(')');
    if (end == std::string_view::npos || end + 4 >= line.size()) continue;
    out[pid] = std::atoi(text.data() + end + 4);
  }
  ::closedir(proc);
  return out;
}

void kill_descendants() {
  const std::map<pid_t, pid_t> parent = parents();
  const pid_t self = ::getpid();
  for (const auto& [pid, first] : parent) {
    pid_t above = first;
    for (int depth = 0; depth < 64 && above > 1 && above != self; ++depth) {
      const auto found = parent.find(above);
      above = found == parent.end() ? 0 : found->second;
    }
    if (above == self) ::kill(pid, SIGKILL);
  }
}

// In the child: becomes the user and the program. Only returns when it cannot.
int become(const KeeperOrder& order) {
  const pid_t keeper = ::getppid();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  if (order.uid != ::geteuid() &&
      (::setgroups(0, nullptr) != 0 || ::setresgid(order.gid, order.gid, order.gid) != 0 ||
       ::setresuid(order.uid, order.uid, order.uid) != 0)) {
    return errno;
  }
  // After setresuid(), which clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return errno;
  }
  if (::getppid() != keeper) return ESRCH;
  std::vector<std::string> words = order.command;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return errno;
}

// The program's pid, or 0 (the daemon was told why).
pid_t start(const KeeperOrder& order) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    tell(fmt::format("failed {}", errno));
    return 0;
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    const int failed = become(order);
    [[maybe_unused]] const ssize_t n = ::write(ends[1], &failed, sizeof failed);
    ::_exit(kCannotStart);
  }
  int failed = pid < 0 ? errno : 0;
  ::close(ends[1]);
  // Nothing is written when exec succeeds: the pipe just closes.
  if (pid > 0 && ::read(ends[0], &failed, sizeof failed) > 0) ::waitpid(pid, nullptr, 0);
  ::close(ends[0]);
  tell(failed != 0 ? fmt::format("failed {}", failed) : fmt::format("started {}", pid));
  return failed != 0 ? 0 : pid;
}

class Keeper {
 public:
  explicit Keeper(pid_t program) : program_(program) {}

  // Reaps what has ended; false when nothing is left.
  bool reap() {
    for (;;) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid == 0) return true;
      if (pid < 0) return errno == EINTR;
      if (pid != program_) {
        tell(fmt::format("reaped {} {}", pid, status));
        continue;
      }
      tell(fmt::format("ended {}", status));
      program_ = 0;
      killing_ = true;
    }
  }

  // False when the daemon is gone.
  bool hear() {
    std::array<char, 64> word{};
    const ssize_t n = ::recv(kKeeperSocket, word.data(), word.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) {
      killing_ = true;
      return false;
    }
    const std::string_view order(word.data(), static_cast<std::size_t>(n));
    if (order == "term" && program_ > 0) ::kill(program_, SIGTERM);
    if (order == "kill") killing_ = true;
    return true;
  }

  void kill_all() { killing_ = true; }
  [[nodiscard]] bool killing() const { return killing_; }

 private:
  pid_t program_;
  bool killing_ = false;
};

}  // namespace

int run_keeper(const KeeperOrder& order) {
  sigset_t watched;
  ::sigemptyset(&watched);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&watched, number);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  const int signals = ::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  ::fcntl(kKeeperSocket, F_SETFD, FD_CLOEXEC);
  ::setsid();
  if (signals < 0 || ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    tell(fmt::format("failed {}", errno));
    return kCannotStart;
  }
  const pid_t program = start(order);
  if (program == 0) return kCannotStart;
  Keeper keeper(program);
  bool daemon = true;
  while (keeper.reap()) {
    // Descendants of a killed process become children here only when it is reaped: so again and
    // again.
    if (keeper.killing()) kill_descendants();
    std::array<pollfd, 2> wait{pollfd{signals, POLLIN, 0},
                               pollfd{daemon ? kKeeperSocket : -1, POLLIN, 0}};
    ::poll(wait.data(), wait.size(), keeper.killing() ? kKillAgainMs : -1);
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo != SIGCHLD) keeper.kill_all();
    }
    if (daemon && wait[1].revents != 0) daemon = keeper.hear();
  }
  tell("gone");
  return 0;
}

}  // namespace overwinter::worker
