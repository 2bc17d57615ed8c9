// A copy of the log while a coordinator writes it: what a backup holds of the store. The
// projection is derived and not copied.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/base/result.h"
#include "coordinator/core/cluster_state.h"
#include "coordinator/store/turn_log.h"

namespace overwinter::store {

inline constexpr const char* kLogFileName = "log.db";  // in the store's folder

struct LogCopy {
  LogHead head;              // its last turn
  core::ClusterState state;  // what it says, specifications and plans included
  std::uint64_t bytes = 0;
};

// Writes `to`, which must not exist: the log of `folder` as of one commit, whole, and proves the
// copy's chain. Not synced. Holds up no commit; while it runs the WAL is not copied back. Any
// thread. RESOURCE_EXHAUSTED: it would leave less than `free_bytes_min` on the disk, nothing was
// written. After an error `to` may be there: remove it.
[[nodiscard]] Result<LogCopy> copy_log(const std::filesystem::path& folder,
                                       const std::filesystem::path& to,
                                       std::uint64_t free_bytes_min);
// What such a copy says, its chain proven. DATA_LOSS names the turn.
[[nodiscard]] Result<LogCopy> read_log(const std::filesystem::path& file);

}  // namespace overwinter::store
