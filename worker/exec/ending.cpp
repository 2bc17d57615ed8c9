#include "worker/exec/ending.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <vector>

#include "worker/exec/process_table.h"

namespace overwinter::worker::exec {
namespace {

constexpr int kStopRoundsMax = 64;

}  // namespace

bool kill_uid(uid_t uid) {
  if (uid == 0 || uid == ::getuid()) return false;
  const pid_t helper = ::fork();
  if (helper < 0) return false;
  if (helper == 0) {
    // Plain system calls: the daemon, of many threads, calls this too.
    if (::syscall(SYS_setresgid, uid, uid, uid) != 0) ::_exit(2);
    if (::syscall(SYS_setresuid, uid, uid, uid) != 0) ::_exit(2);
    ::_exit(::kill(-1, SIGKILL) == 0 ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool kill_descendants() {
  std::set<pid_t> stopped;
  std::vector<pid_t> now;
  for (int round = 0; round < kStopRoundsMax; ++round) {
    now = descendants_of(::getpid());
    bool grew = false;
    for (const pid_t pid : now)
      if (stopped.insert(pid).second) {
        ::kill(pid, SIGSTOP);
        grew = true;
      }
    if (!grew) break;
  }
  for (const pid_t pid : now) ::kill(pid, SIGKILL);
  return !now.empty();
}

bool end_everything(const MemoryGroups& groups, std::optional<uid_t> uid,
                    const std::function<bool()>& reap, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  int pause_ms = 1;
  while (true) {
    (void)groups.kill_all();
    // Also after a group: nothing says that the group has all of them.
    if (uid) kill_uid(*uid);
    if (!reap()) return true;
    kill_descendants();
    if (!reap()) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    ::poll(nullptr, 0, pause_ms);  // the kernel takes memory away meanwhile
    pause_ms = std::min(pause_ms * 2, 50);
  }
}

}  // namespace overwinter::worker::exec
