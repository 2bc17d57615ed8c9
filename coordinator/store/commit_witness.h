// CommitWitness: which turn was durable last, in a file of one sector. SQLite takes a damaged last
// commit of its WAL for one that a power cut tore and drops it in silence; a log that ends before
// its witness has lost what was acknowledged. Written after each commit and never synced: it
// outlives a killed process, and after a power cut it says less or nothing, but never anything that
// was not so. This room's files alone.
#pragma once

#include <filesystem>
#include <optional>
#include <utility>

#include "common/base/result.h"
#include "coordinator/store/turn_log.h"

namespace overwinter::store {

// One thread at a time.
class CommitWitness {
 public:
  // Makes the file when it is not there.
  [[nodiscard]] static Result<CommitWitness> open(const std::filesystem::path& file);
  CommitWitness(CommitWitness&& other) noexcept;
  CommitWitness& operator=(CommitWitness&& other) noexcept;
  ~CommitWitness();

  // After the commit. A failure to write is told to the log alone: the commit is durable.
  void note(const LogHead& head);

  // Against what the file said when it was opened: for each row of the log, and for its end.
  // DATA_LOSS names the turn.
  Status check_row(const TurnRow& row) const;
  Status check_end(const LogHead& head) const;

 private:
  explicit CommitWitness(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
  std::optional<LogHead> said_;  // nullopt: nothing that can be read
};

}  // namespace overwinter::store
