// How the coordinator ends when a disk may have lost what was written: a restart finds what is
// durable.
#pragma once

#include "common/base/result.h"

namespace overwinter::runtime {

inline constexpr int kDiskFailedExit = 74;  // EX_IOERR

// After a failed sync of the artifact store nothing that was written before can be trusted: ends
// the process. Does nothing for any other status.
void end_if_disk_failed(const Status& status);

}  // namespace overwinter::runtime
