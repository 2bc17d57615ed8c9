#include "worker/memory/statistics_resource.h"

#include <algorithm>

namespace overwinter::worker {

Result<void*> StatisticsResource::allocate(std::size_t bytes, std::size_t alignment) {
  auto memory = upstream_.allocate(bytes, alignment);
  const MutexLock lock(mutex_);
  if (!memory) {
    ++statistics_.refusals;
    return memory;
  }
  ++statistics_.allocations;
  statistics_.current_bytes += bytes;
  statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.current_bytes);
  return memory;
}

void StatisticsResource::deallocate(void* memory, std::size_t bytes,
                                    std::size_t alignment) noexcept {
  upstream_.deallocate(memory, bytes, alignment);
  const MutexLock lock(mutex_);
  if (memory != nullptr) statistics_.current_bytes -= bytes;
}

MemoryStatistics StatisticsResource::statistics() const {
  const MutexLock lock(mutex_);
  return statistics_;
}

}  // namespace overwinter::worker
