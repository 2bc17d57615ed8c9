// How the coordinator ends when a disk may have lost what was written: a restart replays what is
// durable.
#pragma once

namespace overwinter::runtime {

inline constexpr int kDiskFailedExit = 74;  // EX_IOERR

}  // namespace overwinter::runtime
