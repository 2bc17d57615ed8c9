// Store: the coordinator's durable memory. A log of turns (the truth) and its projection (whole
// current rows and history, derived). SQLite is behind it; another database can be.
//
// Threads: open_store() and restore() before anything else, on one thread. append_and_commit() on
// one thread at a time (the store thread). history(), disk_room() and statistics() on any thread. A
// thread of the store's own projects about once a second after a commit and copies the WAL back; it
// sleeps while nothing is committed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/core/cluster_state.h"
#include "coordinator/core/fact.h"
#include "coordinator/store/history.h"
#include "coordinator/store/turn_log.h"

namespace overwinter::store {

struct StoreConfig {
  std::filesystem::path folder;  // made when it is not there; nobody else's
  // Kept for the store: given up when the disk is full, so that cancels and reports go on.
  std::uint64_t reserve_bytes = 64 * kMiB;
  // With less free than this, new work is refused (disk_room).
  std::uint64_t room_min_bytes = 256 * kMiB;
  Duration project_every{1000};
  // When the WAL is longer than this it is copied back; at four times this the committing thread
  // waits for it.
  std::uint64_t wal_bytes = 16 * kMiB;
  // SQLite's file layer; empty: the system's. Tests put one here that fails.
  std::string vfs;
};

struct StoreStatistics {
  std::uint64_t turns = 0;      // in the log
  std::uint64_t projected = 0;  // of them
  std::uint64_t commits = 0;    // since the start
  std::uint64_t log_bytes = 0;  // file and WAL
  bool reserve_in_use = false;
};

class Store {
 public:
  virtual ~Store() = default;

  // The state that the log says: projection, then the turns after it. Once, before the first
  // append. Its last_time is the last durable time (0 for a new store).
  [[nodiscard]] virtual Result<core::ClusterState> restore() = 0;

  // Durable when it returns OK, all or none of them. Any other status is final: nothing of these
  // turns may leave, the process ends, a restart finds out what the disk holds. RESOURCE_EXHAUSTED:
  // the disk is full and the reserve is used up.
  Status virtual append_and_commit(std::span<const TurnRef> turns) = 0;

  // OK, or RESOURCE_EXHAUSTED with a sentence while the disk is too full for new work (submits,
  // uploads). Looks at the disk at most once a second.
  virtual Status disk_room() = 0;

  [[nodiscard]] virtual History& history() = 0;
  // Returns when everything committed before the call is in the projection.
  virtual Status catch_up() = 0;
  [[nodiscard]] virtual StoreStatistics statistics() const = 0;
};

// Locks the folder, checks formats and the whole chain, makes what it finds durable.
// FAILED_PRECONDITION: another coordinator holds the folder (names its process), or a newer format
// (names both numbers). DATA_LOSS: damaged; names the turn.
[[nodiscard]] Result<std::unique_ptr<Store>> open_store(const StoreConfig& config);

struct VerifyReport {
  std::uint64_t turns = 0;
  std::uint64_t facts = 0;
  std::uint64_t rows = 0;                // of the projection, compared
  std::vector<std::string> differences;  // at most 100; empty: the projection is what the log says
};
// `--verify`: proves the chain, builds the projection anew beside the old one and compares the two.
// The coordinator must not run.
[[nodiscard]] Result<VerifyReport> verify_store(const std::filesystem::path& folder);

}  // namespace overwinter::store
