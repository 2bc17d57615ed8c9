#include "worker/exec/tree_verdict.h"

#include <fmt/core.h>

#include <cstring>

#include "common/base/bytes.h"

namespace overwinter::worker::exec {
namespace {

std::string signal_text(int signal) {
  const char* name = ::sigdescr_np(signal);
  return fmt::format("signal {} ({})", signal, name == nullptr ? "unknown" : name);
}

}  // namespace

TreeVerdict judge(const TreeEnd& end, std::optional<std::size_t> first) {
  TreeVerdict verdict;
  for (std::size_t i = 0; i < end.processes.size() && !first; ++i)
    if (!end.processes[i].succeeded()) first = i;
  if (first && *first < end.processes.size()) {
    verdict.process = first;
    verdict.exit_code = end.processes[*first].exit_code.value_or(0);
    verdict.signal = end.processes[*first].signal;
  }
  if (!end.refused.ok()) {
    verdict.message = end.refused.message;
  } else if (end.over_limit) {
    verdict.message = fmt::format("ended for its memory: {} of {} allowed",
                                  format_bytes(end.peak_bytes), format_bytes(end.limit_bytes));
  } else if (end.keeper_lost) {
    verdict.message = "the process that keeps the job's processes was ended by somebody else";
  } else if (verdict.process) {
    verdict.message = verdict.signal != 0
                          ? "the program was ended by " + signal_text(verdict.signal)
                          : fmt::format("the program ended with exit code {}", verdict.exit_code);
  } else {
    verdict.good = !end.processes.empty();
  }
  return verdict;
}

std::string dropped_text(std::uint64_t bytes) {
  return fmt::format("[overwinter: {} of output were left out here]", format_bytes(bytes));
}

}  // namespace overwinter::worker::exec
