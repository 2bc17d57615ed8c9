// Parts of the log's chain. This room's files alone.
#pragma once

#include <cstdint>
#include <functional>

#include "coordinator/store/turn_log.h"

namespace overwinter::store {

// read_turns(), at most `turns_max` of them.
[[nodiscard]] Result<LogHead> read_some_turns(Database& database, const LogHead& from,
                                              std::uint64_t turns_max,
                                              const std::function<Status(const TurnRow&)>& row);
// A turn of the log as a place to read on from, its hash as it stands there, not proven; 0: before
// the first. DATA_LOSS: it is missing.
[[nodiscard]] Result<LogHead> head_at(Database& database, std::uint64_t sequence);

}  // namespace overwinter::store
