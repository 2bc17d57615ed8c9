#include "worker/runtime/checkpoint_port.h"

#include <fmt/core.h>

namespace overwinter::worker {

std::vector<std::string> fallback_lines(const RestoredCheckpoint& restored) {
  const std::string instead =
      restored.manifest ? fmt::format("it goes on from that of step {}", restored.manifest->step)
                        : "there is no other: it begins at its beginning";
  std::vector<std::string> lines;
  for (const std::string& skipped : restored.skipped)
    lines.push_back(
        fmt::format("[overwinter: a checkpoint is not whole: {}; {}]", skipped, instead));
  return lines;
}

}  // namespace overwinter::worker
