// Whether the log that a coordinator writes is still what was written (`overwinter doctor`): the
// chain of hashes of its newest turns, read beside the writer.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/mutex.h"
#include "common/base/result.h"

namespace overwinter::store {

struct LogCheckBounds {
  std::uint64_t turns = 100'000;
  std::uint64_t bytes = 128 * kMiB;
};

struct LogCheck {
  std::uint64_t turns = 0;    // that the log has
  std::uint64_t checked = 0;  // the newest of them, whose content and chain were proven
  std::string problem;        // what does not fit, in one sentence; empty: all fits
};

// Reads the log of a store's folder from its end, a few turns at a time by a reader of its own: no
// commit waits, and nothing keeps the WAL from being copied back for longer than such a part. Ends
// with the part that reaches a bound. `durable`: the number of a turn that is known to have been
// durable. Any thread. An error: it could not be read now, which says nothing of what it holds.
[[nodiscard]] Result<LogCheck> check_newest_turns(const std::filesystem::path& folder,
                                                  std::uint64_t durable,
                                                  const LogCheckBounds& bounds);

// Looks at the log of a store that is open, for whoever asks. Thread-safe.
class LogChecks {
 public:
  explicit LogChecks(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // At most once in ten seconds: who asks sooner, or while somebody else's look is under way, gets
  // what the last one found (checked == 0: there was none). Blocks for about a second at most.
  [[nodiscard]] Result<LogCheck> look(std::uint64_t durable);

 private:
  const std::filesystem::path folder_;
  Mutex mutex_;
  bool looking_ OW_GUARDED_BY(mutex_) = false;
  std::optional<std::chrono::steady_clock::time_point> looked_at_ OW_GUARDED_BY(mutex_);
  LogCheck found_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::store
