#include "tests/bench/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStopWithin = std::chrono::seconds(10);
constexpr auto kChildPoll = std::chrono::milliseconds(20);

std::vector<std::string> environment_lines(const Environment& added) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string line = *entry;
    // A context of the caller's must not reach the cluster under measurement.
    if (line.starts_with("OVERWINTER_") || added.contains(line.substr(0, line.find('=')))) continue;
    out.push_back(line);
  }
  for (const auto& [name, value] : added) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& lines) {
  std::vector<char*> out;
  for (std::string& line : lines) out.push_back(line.data());
  out.push_back(nullptr);
  return out;
}

Result<pid_t> spawn(const std::vector<std::string>& command, const Environment& added,
                    const std::string& log, int output) {
  std::vector<std::string> arguments = command;
  std::vector<std::string> lines = environment_lines(added);
  std::vector<char*> argv = pointers(arguments);
  std::vector<char*> envp = pointers(lines);
  const char* path = log.empty() ? "/dev/null" : log.c_str();
  const int errors = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t pid = errors < 0 || null < 0 ? -1 : ::fork();
  if (pid == 0) {
    ::dup2(null, STDIN_FILENO);
    ::dup2(output < 0 ? errors : output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  const int failed = errno;
  if (errors >= 0) ::close(errors);
  if (null >= 0) ::close(null);
  if (pid < 0) {
    return fail(Code::kInternal, "cannot start " + command[0] + ": " + std::strerror(failed));
  }
  return pid;
}

std::string read_all(int descriptor) {
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(descriptor, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return out;
    out.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace

Result<Finished> run_program(const std::vector<std::string>& command,
                             const Environment& environment, const std::string& log) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(Code::kInternal, "no pipe can be made");
  const auto begin = Clock::now();
  const auto pid = spawn(command, environment, log, ends[1]);
  ::close(ends[1]);
  Finished out;
  if (pid) out.output = read_all(ends[0]);
  ::close(ends[0]);
  if (!pid) return fail(pid.error());
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  out.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return out;
}

Result<Running> Running::start(const std::vector<std::string>& command,
                               const Environment& environment, const std::string& log) {
  const auto pid = spawn(command, environment, log, -1);
  if (!pid) return fail(pid.error());
  return Running(*pid);
}

Running::~Running() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  const auto deadline = Clock::now() + kStopWithin;
  while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (Clock::now() > deadline) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(kChildPoll);
  }
}

Result<ProcessUse> process_use(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return fail(Code::kNotFound, fmt::format("no process {}", pid));
  // After the name in parentheses: state is field 3; utime 14, stime 15, resident pages 24.
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::vector<std::string> all;
  for (std::string field; fields >> field;) all.push_back(field);
  if (all.size() < 22) return fail(Code::kInternal, "/proc/PID/stat is short");
  ProcessUse out;
  out.cpu_seconds =
      (std::stod(all[11]) + std::stod(all[12])) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  out.resident_mib =
      std::stod(all[21]) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
  return out;
}

}  // namespace overwinter::bench
