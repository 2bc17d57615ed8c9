// ScratchResource: memory of one step, which begins again when all of it was given back. From the
// second step on it asks its upstream for nothing, as long as a step asks for what one before did.
#pragma once

#include <vector>

#include "common/base/mutex.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Blocks lie one behind another in the pieces it took; giving one back makes no room until nothing
// is left (but for the last one, which makes its own). Pieces are as large as what they were taken
// for, at least `piece_bytes`, and stay until it ends. A refusal is upstream's and changes nothing.
class ScratchResource final : public MemoryResource {
 public:
  explicit ScratchResource(MemoryResource& upstream, std::size_t piece_bytes = 0)
      : upstream_(upstream), piece_bytes_(piece_bytes) {}
  ~ScratchResource() override;
  ScratchResource(const ScratchResource&) = delete;
  ScratchResource& operator=(const ScratchResource&) = delete;

  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;
  // Of upstream.
  [[nodiscard]] std::size_t held_bytes() const;

 private:
  [[nodiscard]] std::byte* from_piece(std::size_t bytes, std::size_t alignment) OW_REQUIRES(mutex_);

  MemoryResource& upstream_;
  const std::size_t piece_bytes_;
  mutable Mutex mutex_;
  std::vector<Buffer> pieces_ OW_GUARDED_BY(mutex_);
  std::size_t piece_ OW_GUARDED_BY(mutex_) = 0;   // the one that is being filled
  std::size_t offset_ OW_GUARDED_BY(mutex_) = 0;  // in it
  std::size_t live_ OW_GUARDED_BY(mutex_) = 0;    // blocks
};

}  // namespace overwinter::worker
