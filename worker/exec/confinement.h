// What a user's program may not do (TRUST §2): a uid of its own where the daemon may give it one,
// no new privileges, no capability, no path but the granted ones (Landlock), no dangerous system
// call (seccomp), no core file. Under the daemon's own uid, Landlock's scopes stand between the
// program and the daemon.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/landlock.h"

namespace overwinter::worker::exec {

struct Confinement {
  std::optional<uid_t> uid;   // its own, group of the same number; nothing: the daemon's
  std::vector<gid_t> groups;  // beside its own: those of devices; only with a uid
  std::vector<Grant> grants;
};

// What this machine can do; `why_not` is one sentence and empty when it can confine.
struct ConfinementSupport {
  bool own_uid = false;
  int landlock = 0;  // its ABI
  std::string why_not;

  [[nodiscard]] bool can() const { return why_not.empty(); }
  // "own uid, Landlock ABI 7, seccomp", for `workers get`.
  [[nodiscard]] std::string describe() const;
};

// Asks the kernel; `hidden` are folders that no job may see (the worker's keys). Without a uid of
// its own a program is kept from them by Landlock alone, so they must lie outside of what is
// granted to every job.
[[nodiscard]] ConfinementSupport can_confine(const std::vector<std::string>& hidden);
// The decision alone.
[[nodiscard]] ConfinementSupport decide_confinement(bool own_uid, int landlock, bool seccomp,
                                                    const std::vector<std::string>& hidden);

// What every job is granted: programs and libraries, /etc, /proc, /sys to read; /dev/null,
// /dev/zero, /dev/full, /dev/shm to write (FACTS §6); the resolver's file where it is a link into
// /run.
[[nodiscard]] std::vector<Grant> common_grants();

// In the process that will become the program, of one thread, as the last steps before exec; ends
// with the death signal set, so that it ends with `parent`. Not undone on failure: end the process.
Status enter_confinement(const Confinement& confinement, pid_t parent);

}  // namespace overwinter::worker::exec
