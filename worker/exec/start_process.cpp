#include "worker/exec/start_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "worker/exec/mount_view.h"

extern char** environ;

namespace overwinter::worker::exec {
namespace {

// Jobs go first when the machine itself runs out of memory, before any daemon.
constexpr std::string_view kOomScore = "500";

struct Failure {
  std::int32_t code = 0;
  char text[248] = {};
};

[[noreturn]] void give_up(int pipe, Code code, const std::string& text) {
  Failure failure;
  failure.code = static_cast<std::int32_t>(code);
  std::snprintf(failure.text, sizeof failure.text, "%s", text.c_str());
  if (::write(pipe, &failure, sizeof failure) < 0) ::_exit(126);
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

void set_streams(std::size_t index) {
  const int output = kFirstOutputDescriptor + 2 * static_cast<int>(index);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output + 1, STDERR_FILENO);
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void become(const TreeOrder& order, std::size_t index, const MemoryGroups& groups,
                         pid_t keeper, int pipe) {
  ::setsid();
  set_streams(index);
  // The pipe last of all that stays open; exec closes it.
  if (pipe != kControlDescriptor) {
    ::dup3(pipe, kControlDescriptor, O_CLOEXEC);
    pipe = kControlDescriptor;
  }
  ::syscall(SYS_close_range, kControlDescriptor + 1, ~0U, 0U);
  reset_signals();
  if (const int number = groups.join(); number != 0)
    give_up(pipe, Code::kInternal, fmt::format("its group: {}", std::strerror(number)));
  (void)write_small_file("/proc/self/oom_score_adj", kOomScore);
  if (Status status = enter_mount_view(order.mounts); !status.ok())
    give_up(pipe, status.code, status.message);
  if (Status status = enter_confinement(order.confinement, keeper); !status.ok())
    give_up(pipe, status.code, status.message);
  if (::chdir(order.folder.c_str()) != 0)
    give_up(pipe, Code::kInternal, fmt::format("{}: {}", order.folder, std::strerror(errno)));

  std::vector<std::string> words = order.processes[index].argv;
  std::vector<std::string> variables;
  for (const auto& [name, value] : order.processes[index].environment)
    variables.push_back(name + "=" + value);
  const std::vector<char*> argv = pointers(words);
  std::vector<char*> environment = pointers(variables);
  environ = environment.data();
  ::execvp(argv[0], argv.data());
  const int number = errno;
  give_up(pipe, number == ENOENT ? Code::kNotFound : Code::kFailedPrecondition,
          fmt::format("cannot run {}: {}", words[0], std::strerror(number)));
}

}  // namespace

Result<pid_t> start_process(const TreeOrder& order, std::size_t index, const MemoryGroups& groups) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(Code::kResourceExhausted, fmt::format("no pipe: {}", std::strerror(errno)));
  const Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  const pid_t keeper = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail(Code::kResourceExhausted, fmt::format("cannot fork: {}", std::strerror(errno)));
  if (pid == 0) become(order, index, groups, keeper, write_end.get());
  write_end.reset();
  Failure failure;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return pid;
  failure.text[sizeof failure.text - 1] = '\0';
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (got != static_cast<ssize_t>(sizeof failure))
    return fail(Code::kInternal, "a process ended before it ran its program");
  return fail(static_cast<Code>(failure.code), failure.text);
}

}  // namespace overwinter::worker::exec
