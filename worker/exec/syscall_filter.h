// The system calls that a user's program does not get (seccomp): a list of what is refused, since
// programs are many and kernels grow. What is refused answers EPERM; clone3 and io_uring answer
// ENOSYS, so that libraries fall back to the calls that a filter can look into.
#pragma once

#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker::exec {

// Their names, for documents and tests.
[[nodiscard]] std::vector<std::string_view> refused_system_calls();

// For this thread and all that it starts, for good; no_new_privs must be set. Allocates: call it in
// a process of one thread.
Status load_syscall_filter();

}  // namespace overwinter::worker::exec
