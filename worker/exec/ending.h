// Ending everything that a tree of processes has become: double forks, new sessions, ignored
// signals. A subreaper's descendants stay its descendants, so it is done when the caller has no
// child left.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>

#include "worker/exec/memory_limit.h"

namespace overwinter::worker::exec {

// SIGKILL to everything that runs as `uid`, by a helper that becomes it and calls kill(-1): no
// process can be missed between a list and its use. Needs CAP_SETUID; never root's own uid. False:
// nothing was left to signal, or the helper could not be made.
bool kill_uid(uid_t uid);

// SIGKILL to all descendants of this process, stopped first until no new one appears, so that none
// forks away while the list is made. True: there were some.
bool kill_descendants();

inline constexpr std::chrono::seconds kEndPatience{20};  // until what will not go is named

// The three of them in order: the group, the uid, the descendants. Calls `reap` after each round;
// that waits for what has ended (waitpid without blocking) and answers whether a child is left.
// Ends when none is, or at `patience`; true: nothing is left. The caller is a subreaper.
bool end_everything(const MemoryGroups& groups, std::optional<uid_t> uid,
                    const std::function<bool()>& reap, std::chrono::milliseconds patience);

}  // namespace overwinter::worker::exec
