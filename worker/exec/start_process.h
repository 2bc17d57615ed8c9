// From the keeper to one running program: fork, confinement, exec.
#pragma once

#include <sys/types.h>

#include "common/base/result.h"
#include "worker/exec/keeper_protocol.h"

namespace overwinter::worker::exec {

// Starts process `index` of the order as the leader of a session of its own, confined, in the
// groups, its output on the descriptors that the keeper was given for it. Returns when exec has
// succeeded (the pid) or something before it failed (one sentence; NOT_FOUND: no such program). One
// thread.
[[nodiscard]] Result<pid_t> start_process(const TreeOrder& order, std::size_t index,
                                          const MemoryGroups& groups);

}  // namespace overwinter::worker::exec
