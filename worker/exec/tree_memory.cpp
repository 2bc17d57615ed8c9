#include "worker/exec/tree_memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "worker/exec/descriptor.h"
#include "worker/exec/process_table.h"
#include "worker/exec/steady_time.h"

namespace overwinter::worker::exec {
namespace {

using std::chrono::milliseconds;

std::uint64_t sum(const std::vector<pid_t>& pids, std::optional<std::uint64_t> (*size)(pid_t)) {
  std::uint64_t total = 0;
  for (const pid_t pid : pids) total += size(pid).value_or(0);
  return total;
}

// One that cannot be read truly counts as the dearer size that can.
std::uint64_t exact_sum(const std::vector<pid_t>& pids) {
  std::uint64_t total = 0;
  for (const pid_t pid : pids) {
    const auto exact = proportional_bytes(pid);
    total += exact ? *exact : unshared_bytes(pid).value_or(0);
  }
  return total;
}

void signal_all(const std::vector<pid_t>& pids, int number) {
  for (const pid_t pid : pids) ::kill(pid, number);
}

}  // namespace

std::uint64_t TreeMemory::measure(const std::vector<pid_t>& pids) const {
  int ends[2];
  if (!uid_ || ::pipe2(ends, O_CLOEXEC) != 0) return exact_sum(pids);
  const Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  const pid_t helper = ::fork();
  if (helper < 0) return exact_sum(pids);
  if (helper == 0) {
    // In a container root may not read another uid's sizes; that uid may.
    if (::setresgid(*uid_, *uid_, *uid_) != 0 || ::setresuid(*uid_, *uid_, *uid_) != 0) ::_exit(1);
    const std::uint64_t total = exact_sum(pids);
    ::_exit(::write(write_end.get(), &total, sizeof total) == sizeof total ? 0 : 1);
  }
  write_end.reset();
  std::uint64_t total = 0;
  ssize_t got = 0;
  do {
    got = ::read(read_end.get(), &total, sizeof total);
  } while (got < 0 && errno == EINTR);
  while (::waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
  }
  return got == static_cast<ssize_t>(sizeof total) ? total : sum(pids, unshared_bytes);
}

TreeMemory::Seen TreeMemory::look() {
  const std::vector<pid_t> pids = tree_of(::getpid());
  MemoryWatch::Decision decision = watch_.resident(sum(pids, resident_bytes));
  if (decision.look == MemoryWatch::Look::kUnshared)
    decision = watch_.unshared(steady_now(), sum(pids, unshared_bytes));
  if (decision.look == MemoryWatch::Look::kExact) {
    // Measuring takes 10 ms a GiB, in which a program fills 20 MiB more.
    signal_all(pids, SIGSTOP);
    const milliseconds begun = steady_now();
    const std::uint64_t bytes = measure(pids);
    const milliseconds ended = steady_now();
    decision = watch_.exact(ended, bytes, ended - begun);
    if (decision.look != MemoryWatch::Look::kKill) signal_all(pids, SIGCONT);
  }
  return {decision.look == MemoryWatch::Look::kKill, decision.wait};
}

}  // namespace overwinter::worker::exec
