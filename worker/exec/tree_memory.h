// The watchdog's eyes: the memory of all descendants of this process, looked at as MemoryWatch
// asks.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "worker/exec/memory_watch.h"

namespace overwinter::worker::exec {

// One thread: that of the keeper.
class TreeMemory {
 public:
  // `uid`: whose memory it is; sizes that only that uid may read are read by a helper that becomes
  // it.
  TreeMemory(std::uint64_t limit_bytes, std::optional<uid_t> uid)
      : watch_(limit_bytes), uid_(uid) {}

  struct Seen {
    bool over_limit = false;
    std::chrono::milliseconds wait{0};  // until the next look
  };
  [[nodiscard]] Seen look();
  [[nodiscard]] std::uint64_t used_bytes() const { return watch_.used_bytes(); }
  [[nodiscard]] std::uint64_t peak_bytes() const { return watch_.peak_bytes(); }

 private:
  [[nodiscard]] std::uint64_t measure(const std::vector<pid_t>& pids) const;

  MemoryWatch watch_;
  const std::optional<uid_t> uid_;
};

}  // namespace overwinter::worker::exec
