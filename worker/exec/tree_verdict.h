// How a tree of processes ended, as people are told. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "worker/exec/process_tree.h"

namespace overwinter::worker::exec {

struct TreeVerdict {
  bool good = false;                   // all processes ended with 0
  std::optional<std::size_t> process;  // the one that failed first
  int exit_code = 0;
  int signal = 0;
  std::string message;  // one sentence with the numbers; empty when good
};
// `first`: the process that was seen to fail first; others then ended because of it.
[[nodiscard]] TreeVerdict judge(const TreeEnd& end,
                                std::optional<std::size_t> first = std::nullopt);

// What stands in a log where lines are missing.
[[nodiscard]] std::string dropped_text(std::uint64_t bytes);

}  // namespace overwinter::worker::exec
