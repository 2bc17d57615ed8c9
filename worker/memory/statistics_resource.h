// Counts what passes through.
#pragma once

#include <cstdint>

#include "common/base/mutex.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

struct MemoryStatistics {
  std::uint64_t current_bytes = 0;
  std::uint64_t peak_bytes = 0;
  std::uint64_t allocations = 0;
  std::uint64_t refusals = 0;
};

class StatisticsResource final : public MemoryResource {
 public:
  explicit StatisticsResource(MemoryResource& upstream) : upstream_(upstream) {}

  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;
  [[nodiscard]] MemoryStatistics statistics() const;

 private:
  MemoryResource& upstream_;
  mutable Mutex mutex_;
  MemoryStatistics statistics_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::worker
