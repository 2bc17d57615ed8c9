// The machine's own memory.
#pragma once

#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Whole pages by mmap from 64 KiB on, given back to the system at once, so that what the process
// holds is what its seats hold; smaller pieces from the heap. Large pieces ask for huge pages where
// the system has them.
class HostResource final : public MemoryResource {
 public:
  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;
};

}  // namespace overwinter::worker
