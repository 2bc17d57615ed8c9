// LinkMeter: how fast bytes really went to each worker, for the plans that follow. Soft: a restart
// forgets it, and the next blocks measure it anew.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>

#include "common/base/bytes.h"
#include "common/base/mutex.h"
#include "common/domain/ids.h"

namespace overwinter::runtime {

// Thread-safe.
class LinkMeter {
 public:
  // Shorter transfers are left out: they tell of latency and of buffers.
  static constexpr std::uint64_t kBytesMin = kMiB;
  // The fastest of the last so many counts: a slow one may have waited for its reader.
  static constexpr std::size_t kKept = 8;

  // A transfer of one stream to a worker that came to its end.
  void note(WorkerId worker, std::uint64_t bytes, std::chrono::nanoseconds took);
  // 0: not measured.
  [[nodiscard]] double bytes_per_second(WorkerId worker) const;

 private:
  struct Recent {
    std::array<double, kKept> rates{};
    std::size_t next = 0;
  };
  mutable Mutex mutex_;
  std::map<WorkerId, Recent> workers_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::runtime
