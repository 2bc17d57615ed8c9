// Commits of this machine's disk, as the coordinator makes them and as plain SQLite makes them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::bench {

// A log of turns of the coordinator's store in a folder of its own; each append is durable.
class TurnCommits {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TurnCommits>> open(const std::string& folder);
  ~TurnCommits();
  // Milliseconds of one commit of so many turns.
  [[nodiscard]] Result<double> commit(std::size_t turns);

 private:
  TurnCommits();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same by SQLite alone: one table, WAL, synchronous=FULL, a row of the same length a turn.
class PlainCommits {
 public:
  [[nodiscard]] static Result<std::unique_ptr<PlainCommits>> open(const std::string& folder);
  ~PlainCommits();
  [[nodiscard]] Result<double> commit(std::size_t rows);

 private:
  PlainCommits();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The number of the last turn in a coordinator's store; the coordinator may run.
[[nodiscard]] Result<std::uint64_t> last_turn(const std::string& store_folder);

}  // namespace overwinter::bench
