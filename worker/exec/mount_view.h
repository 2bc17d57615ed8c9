// What a job sees under absolute paths that this machine does not have (`mounts: { /data: … }`): a
// mount namespace of its own, with bind mounts. Where the first part of the path is missing on the
// machine, the job's root is a small memory file system in which everything of the machine's root
// appears, and beside it the mounts: nothing is made on the machine itself.
#pragma once

#include <vector>

#include "common/base/result.h"
#include "worker/exec/mounts.h"

namespace overwinter::worker::exec {

// Tries it in a child process. Not in default containers, nor without CAP_SYS_ADMIN.
[[nodiscard]] bool can_bind_mounts();

// For this process and what it starts; in the process that will become the program, before it is
// confined (the filter refuses mounts). Without a mount to be bound it does nothing. Not undone on
// failure: end the process.
[[nodiscard]] Status enter_mount_view(const std::vector<Mount>& mounts);

}  // namespace overwinter::worker::exec
