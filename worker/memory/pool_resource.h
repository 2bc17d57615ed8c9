// PoolResource: memory that was given back is kept for the next who asks, so that a job's steps
// and jobs in a row do not go to the system each time.
//
//   thread caches   small blocks (to 16 KiB), without a lock     bounded; given back by trim()
//   shared cache    what overflows those, in bunches             likewise
//   small blocks    a BlockHeap in lines of 64 bytes             its chunks are blocks of the next
//   pages           a BlockHeap in pages of 4 KiB                its chunks are the upstream's
//
// Blocks above 16 KiB, or aligned to more than a line, are whole pages. The memory itself is never
// read or written here: tags lie beside it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/mutex.h"
#include "worker/memory/block_heap.h"
#include "worker/memory/memory_resource.h"
#include "worker/memory/shared_cache.h"
#include "worker/memory/thread_cache.h"

namespace overwinter::worker {

struct PoolOptions {
  // Of chunks that are all free at most so much is kept; what is more goes back at once.
  std::size_t keep_bytes = SIZE_MAX;
  // Taken from upstream at the start, as one chunk; less when upstream has not as much.
  std::size_t first_bytes = 0;
};

// Sizes are of blocks as they are cut: what was asked, rounded up to a class or to pages.
struct PoolStatistics {
  std::size_t held_bytes = 0;  // of upstream
  std::size_t held_peak_bytes = 0;
  std::size_t used_bytes = 0;       // handed out
  std::size_t used_peak_bytes = 0;  // caches included
  std::size_t cached_bytes = 0;     // in caches
  std::size_t free_bytes = 0;       // the rest of what is held
  std::size_t largest_free_bytes = 0;
  std::size_t free_blocks = 0;
  std::size_t chunks = 0;
  std::uint64_t upstream_allocations = 0;
  // What share of the free bytes is not in the largest free block: 0 when it is one block.
  [[nodiscard]] double fragmentation() const;
};

// How much it takes from upstream: what is needed, and a 32nd of what is held (at least 64 KiB) for
// those who come next. Before that, free chunks are given back as far as more would be held than
// was ever used, and a 32nd. So what is held follows what is used.
//
// Everything that was handed out is given back before it ends.
class PoolResource final : public MemoryResource {
 public:
  explicit PoolResource(MemoryResource& upstream, PoolOptions options = {});
  ~PoolResource() override;
  PoolResource(const PoolResource&) = delete;
  PoolResource& operator=(const PoolResource&) = delete;

  // A refusal is upstream's, after all that is free was given back to it, and leaves everything as
  // it was.
  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;

  // Gives back what is free: the cache of the calling thread and the shared one at once, that of
  // another thread when it next calls or ends. Then chunks that are one block go back to upstream,
  // but for `keep_bytes` of them at most.
  void trim(std::size_t keep_bytes = 0);
  [[nodiscard]] PoolStatistics statistics() const;

  // For thread_cache.cpp.
  [[nodiscard]] PoolNumber number() const { return number_; }
  [[nodiscard]] ThreadCache& new_cache();
  void retire(ThreadCache& cache);  // empties and ends it

 private:
  [[nodiscard]] ThreadCache* ready_cache() const;
  [[nodiscard]] ThreadCache* cache();
  [[nodiscard]] Result<void*> refill(std::size_t bytes);
  void overflow(void* memory, std::size_t index) noexcept;
  [[nodiscard]] Result<void*> take_pages(std::size_t bytes, std::size_t alignment);
  void cut_some(ThreadCache& cache, std::size_t index) OW_REQUIRES(mutex_);
  void drop_pages(void* memory, std::size_t bytes) noexcept;
  [[nodiscard]] Result<void*> take_small(std::size_t index) OW_REQUIRES(mutex_);
  [[nodiscard]] Result<void*> pages(std::size_t bytes) OW_REQUIRES(mutex_);
  Status grow(std::size_t bytes) OW_REQUIRES(mutex_);
  [[nodiscard]] Result<void*> from_upstream(std::size_t bytes) OW_REQUIRES(mutex_);
  void give_small(void* memory) OW_REQUIRES(mutex_);
  void give_pages(const void* memory) OW_REQUIRES(mutex_);
  void empty(ThreadCache& cache) OW_REQUIRES(mutex_);
  void empty_shared() OW_REQUIRES(mutex_);
  void release_down_to(std::size_t whole_bytes) OW_REQUIRES(mutex_);
  void release(const BlockHeap::Chunk& chunk) OW_REQUIRES(mutex_);
  void note_peak() OW_REQUIRES(mutex_);

  MemoryResource& upstream_;
  const PoolOptions options_;
  PoolNumber number_ = 0;
  std::atomic<std::uint64_t> trims_{0};

  mutable Mutex mutex_;
  BlockHeap pages_ OW_GUARDED_BY(mutex_);
  BlockHeap small_ OW_GUARDED_BY(mutex_);
  SharedCache shared_ OW_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<ThreadCache>> caches_ OW_GUARDED_BY(mutex_);
  std::size_t held_peak_ OW_GUARDED_BY(mutex_) = 0;
  std::size_t used_peak_ OW_GUARDED_BY(mutex_) = 0;
  std::uint64_t upstream_allocations_ OW_GUARDED_BY(mutex_) = 0;
};

}  // namespace overwinter::worker
