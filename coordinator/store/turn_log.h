// TurnLog: the truth. One row a turn, each chained to the one before by SHA-256; a commit makes one
// or several turns durable at once. README.md tells the format.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/core/fact.h"
#include "coordinator/store/sqlite.h"

namespace overwinter::store {

inline constexpr std::int64_t kLogFormat = 1;
inline constexpr std::int64_t kLogApplicationId = 0x4F574C31;  // "OWL1"

// One turn to append. What it refers to lives until append() returns.
struct TurnRef {
  Time time{};
  std::span<const core::Fact> facts;
};

// The last turn: 0 and zeros when there is none.
struct LogHead {
  std::uint64_t sequence = 0;
  Digest hash;
  Time time{};
  friend bool operator==(const LogHead&, const LogHead&) = default;
};

struct TurnLogOptions {
  std::string vfs;                        // of SQLite; empty: the system's
  std::string_view synchronous = "FULL";  // anything less loses turns; tests plant NORMAL
};

// One row, its hashes proven. `bytes` lives until the next one is read.
struct TurnRow {
  std::uint64_t sequence = 0;
  Time time{};
  std::string_view bytes;  // wire::decode_turn
  Digest hash;
};

// SHA-256(previous hash, sequence, time, bytes), the numbers as 8 bytes little-endian.
[[nodiscard]] Digest turn_hash(const Digest& previous, std::uint64_t sequence, Time time,
                               std::string_view bytes);

// The writer. One thread at a time.
class TurnLog {
 public:
  // Creates an empty log where there is none. Copies the WAL back first (wal_checkpoint(TRUNCATE)),
  // so that a turn whose sync failed before a restart is either gone or durable before anybody
  // hears of it. FAILED_PRECONDITION: a newer format, or no log of ours. DATA_LOSS: damaged.
  [[nodiscard]] static Result<TurnLog> open(const std::string& path, const TurnLogOptions& options);

  // Durable when it returns OK, all of them. RESOURCE_EXHAUSTED: the disk is full, nothing was
  // written and it may be called again. Any other failure is final: what the disk holds is unknown,
  // end the process.
  Status append(std::span<const TurnRef> turns);

  [[nodiscard]] const LogHead& head() const { return head_; }
  // Set by who has read the rows (read_turns): appending goes on from there.
  void set_head(const LogHead& head) { head_ = head; }
  // Copies the WAL back and empties it; waits for nobody. From the committing thread only when the
  // WAL has outgrown its bound.
  Status truncate_wal();
  [[nodiscard]] Database& database() { return database_; }

 private:
  Status append_row(Statement& insert, const TurnRef& turn, LogHead& head);

  Database database_;
  LogHead head_;
  bool broken_ = false;
};

// Reads the rows after `from` in order, proving the chain from from.hash on; returns the head that
// was reached. `row` may end it with a status. DATA_LOSS names the turn where the chain breaks.
[[nodiscard]] Result<LogHead> read_turns(Database& database, const LogHead& from,
                                         const std::function<Status(const TurnRow&)>& row);

}  // namespace overwinter::store
