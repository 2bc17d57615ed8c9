#include "coordinator/runtime/link_meter.h"

#include <algorithm>

namespace overwinter::runtime {

void LinkMeter::note(WorkerId worker, std::uint64_t bytes, std::chrono::nanoseconds took) {
  if (bytes < kBytesMin || took.count() <= 0) return;
  const double seconds = std::chrono::duration<double>(took).count();
  MutexLock lock(mutex_);
  Recent& recent = workers_[worker];
  recent.rates[recent.next] = static_cast<double>(bytes) / seconds;
  recent.next = (recent.next + 1) % kKept;
}

double LinkMeter::bytes_per_second(WorkerId worker) const {
  MutexLock lock(mutex_);
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return 0;
  return *std::max_element(it->second.rates.begin(), it->second.rates.end());
}

}  // namespace overwinter::runtime
