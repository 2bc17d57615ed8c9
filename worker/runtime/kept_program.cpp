#include "worker/runtime/kept_program.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "common/base/log.h"

namespace overwinter::worker {
namespace {

constexpr int kKeeperSocket = 3;  // worker/gang/keeper.h
constexpr int kCannotExec = 127;
constexpr std::size_t kOutputAtOnce = std::size_t{64} * 1024;
constexpr int kEndWithinMs = 10'000;

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// In the child, where only what is safe after fork() in a process with threads may be called.
[[noreturn]] void become_keeper(char* const* argv, char* const* envp, int socket, int output) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY);
  // Descriptors 0 to 3 may be among ours: move ours out of the way first.
  const int socket_high = ::fcntl(socket, F_DUPFD_CLOEXEC, 16);
  const int output_high = ::fcntl(output, F_DUPFD_CLOEXEC, 16);
  const int null_high = ::fcntl(null, F_DUPFD_CLOEXEC, 16);
  ::dup2(null_high, 0);
  ::dup2(output_high, 1);
  ::dup2(output_high, 2);
  ::dup2(socket_high, kKeeperSocket);
  if (::chdir("/") == 0) ::execve(argv[0], argv, envp);
  ::_exit(kCannotExec);
}

pid_t parent_of(pid_t pid) {
  const int file = ::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 512> text{};
  const ssize_t n = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  const std::string_view line(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  const std::size_t end = line.rfind(')');
  if (end == std::string_view::npos || end + 4 >= line.size()) return 0;
  return std::atoi(text.data() + end + 4);
}

}  // namespace

Result<KeeperWord> parse_keeper_word(std::string_view packet) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= packet.size();) {
    const std::size_t end = std::min(packet.find(' ', at), packet.size());
    parts.push_back(packet.substr(at, end - at));
    at = end + 1;
  }
  std::vector<int> numbers;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    int number = 0;
    const char* end = parts[i].data() + parts[i].size();
    const auto [at, failed] = std::from_chars(parts[i].data(), end, number);
    if (failed != std::errc() || at != end) return fail(Code::kDataLoss, "no word of a keeper");
    numbers.push_back(number);
  }
  using Kind = KeeperWord::Kind;
  const std::string_view name = parts[0];
  if (name == "started" && numbers.size() == 1) return KeeperWord{Kind::kStarted, numbers[0], 0};
  if (name == "failed" && numbers.size() == 1) return KeeperWord{Kind::kFailed, 0, numbers[0]};
  if (name == "reaped" && numbers.size() == 2) {
    return KeeperWord{Kind::kReaped, numbers[0], numbers[1]};
  }
  if (name == "ended" && numbers.size() == 1) return KeeperWord{Kind::kEnded, 0, numbers[0]};
  if (name == "gone" && numbers.empty()) return KeeperWord{Kind::kGone, 0, 0};
  return fail(Code::kDataLoss, "no word of a keeper");
}

std::string describe_wait_status(int status) {
  if (WIFEXITED(status)) return fmt::format("exit code {}", WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  const char* name = ::sigdescr_np(number);
  return fmt::format("signal {} ({})", number, name == nullptr ? "unknown" : name);
}

Result<KeptProgram> KeptProgram::start(const KeptCommand& command) {
  std::vector<std::string> words = {command.keeper.string(), "--keep", std::to_string(command.uid),
                                    std::to_string(command.gid)};
  words.insert(words.end(), command.command.begin(), command.command.end());
  std::vector<std::string> lines = command.environment;
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(lines);
  std::array<int, 2> sockets{-1, -1};
  std::array<int, 2> output{-1, -1};
  const bool made = ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) == 0 &&
                    ::pipe2(output.data(), O_CLOEXEC) == 0;
  const pid_t pid = made ? ::fork() : -1;
  if (pid == 0) become_keeper(argv.data(), envp.data(), sockets[1], output[1]);
  const int failed = errno;
  for (const int end : {sockets[1], output[1]}) {
    if (end >= 0) ::close(end);
  }
  if (pid < 0) {
    for (const int end : {sockets[0], output[0]}) {
      if (end >= 0) ::close(end);
    }
    return fail(Code::kResourceExhausted,
                std::string("no process can be started: ") + std::strerror(failed));
  }
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  return KeptProgram(pid, sockets[0], output[0]);
}

KeptProgram::~KeptProgram() {
  if (keeper_ < 0) return;
  ::close(output_);
  kill();
  // The keeper ends once nothing is left; its end of the socket closes then.
  for (bool gone = false; !gone;) {
    pollfd wait{socket_, POLLIN, 0};
    if (::poll(&wait, 1, kEndWithinMs) == 0) {
      log_error("processes of a gang do not end (keeper {})", keeper_);
      ::kill(keeper_, SIGKILL);
      break;
    }
    for (const KeeperWord& word : words()) gone = gone || word.kind == KeeperWord::Kind::kGone;
  }
  ::close(socket_);
  while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::vector<KeeperWord> KeptProgram::words() {
  std::vector<KeeperWord> out;
  for (;;) {
    std::array<char, 64> packet{};
    const ssize_t n = ::recv(socket_, packet.data(), packet.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return out;
    if (n <= 0) {
      out.push_back({KeeperWord::Kind::kGone, 0, 0});
      return out;
    }
    const auto word = parse_keeper_word({packet.data(), static_cast<std::size_t>(n)});
    if (word) out.push_back(*word);
  }
}

bool KeptProgram::read_output(std::string& into) {
  std::array<char, kOutputAtOnce> buffer{};
  const ssize_t n = ::read(output_, buffer.data(), buffer.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  into.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0;
}

void KeptProgram::terminate() const {
  [[maybe_unused]] const ssize_t n = ::send(socket_, "term", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void KeptProgram::kill() const {
  [[maybe_unused]] const ssize_t n = ::send(socket_, "kill", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool descends_from(pid_t pid, pid_t ancestor) {
  for (int depth = 0; depth < 64 && pid > 1; ++depth) {
    if (pid == ancestor) return true;
    pid = parent_of(pid);
  }
  return false;
}

}  // namespace overwinter::worker
