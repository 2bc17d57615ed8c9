// Projection: whole current rows of everything that lives, and the history of what ended, derived
// from the log and written with its watermark in one transaction. Losing it loses nothing: it is
// built anew.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "coordinator/core/cluster_state.h"
#include "coordinator/store/sqlite.h"
#include "coordinator/store/turn_log.h"
#include "coordinator/wire/fact_codec.h"

namespace overwinter::store {

// Raised with every change of its tables or of record.proto: another format is built anew, never
// migrated.
inline constexpr std::int64_t kProjectionFormat = 6;
inline constexpr std::int64_t kProjectionApplicationId = 0x4F575031;  // "OWP1"

// One thread at a time.
class Projection {
 public:
  // Loads the state from its rows, checksums proven. DATA_LOSS or FAILED_PRECONDITION: remove the
  // file and open again; it is then empty, with a watermark of 0.
  [[nodiscard]] static Result<Projection> open(const std::string& path, const std::string& vfs);
  Projection(Projection&&) noexcept;
  Projection& operator=(Projection&&) noexcept;
  ~Projection();

  // The last turn that is in it.
  [[nodiscard]] const LogHead& head() const;
  [[nodiscard]] const core::ClusterState& state() const;
  // From here on the bytes of specifications and plans are not kept in memory: nothing here reads
  // them.
  void drop_job_bytes();

  // apply() turns in order, then flush() them in one transaction. After a failure of either it is
  // of no more use: open again.
  Status apply(const TurnRow& row);
  Status flush();
  [[nodiscard]] std::size_t turns_pending() const;
  // Copies its WAL back as far as readers let it.
  Status checkpoint();
  [[nodiscard]] std::int64_t wal_pages() const;

  struct Impl;  // projection_impl.h

 private:
  explicit Projection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Of the projection's file, for reading and for comparing.
[[nodiscard]] const std::vector<std::string>& projection_tables();

}  // namespace overwinter::store
