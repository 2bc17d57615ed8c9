#include "worker/memory/pool_resource.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "worker/memory/poison.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kPoolPage = 4096;
constexpr std::size_t kGrowthMin = 64 * kKiB;
constexpr std::size_t kSmallChunkMax = kMiB;
constexpr std::size_t kSpareShare = 32;
constexpr std::uint32_t kCutAtOnce = 16;
constexpr std::size_t kBytesMax = std::size_t{1} << 46;  // more than a machine has

std::size_t to_pages(std::size_t bytes) {
  return (bytes + kPoolPage - 1) / kPoolPage * kPoolPage;
}

Status no_tags() {
  return error(Code::kResourceExhausted, "the machine has no memory left for a pool's tags");
}

void* pop(ThreadCache& cache, std::size_t index) {
  const std::uint32_t count = cache.count(index) - 1;
  cache.set_count(index, count);
  return cache.slots_at(index)[count];
}

void push(ThreadCache& cache, std::size_t index, void* memory) {
  const std::uint32_t count = cache.count(index);
  cache.slots_at(index)[count] = memory;
  cache.set_count(index, count + 1);
}

bool is_small(std::size_t bytes, std::size_t alignment) {
  return bytes - 1 < kSmallBytesMax && alignment <= kSmallGranule;  // 0 is not
}

}  // namespace

double PoolStatistics::fragmentation() const {
  if (free_bytes == 0) return 0;
  return 1 - static_cast<double>(largest_free_bytes) / static_cast<double>(free_bytes);
}

PoolResource::PoolResource(MemoryResource& upstream, PoolOptions options)
    : upstream_(upstream), options_(options), pages_(kPoolPage), small_(kSmallGranule) {
  if (options_.first_bytes > 0) {
    const MutexLock lock(mutex_);
    (void)from_upstream(to_pages(options_.first_bytes));  // a start, no promise
  }
  number_ = register_pool(*this);
}

PoolResource::~PoolResource() {
  forget_pool(number_);
  const MutexLock lock(mutex_);
  for (const auto& cache : caches_) empty(*cache);
  empty_shared();
  check(small_.used_bytes() == 0 && pages_.used_bytes() == 0,
        "everything is given back before its pool ends");
  release_down_to(0);
}

// Of the calling thread, if it is the one used last and nothing is to be done first. Null: the slow
// way.
inline ThreadCache* PoolResource::ready_cache() const {
  ThreadCache* const mine = last_cache.cache;
  return last_cache.pool == number_ && mine->trims == trims_.load(std::memory_order_relaxed)
             ? mine
             : nullptr;
}

ThreadCache* PoolResource::cache() {
  ThreadCache* const mine =
      last_cache.pool == number_ ? last_cache.cache : cache_of_this_thread(*this);
  if (mine != nullptr && mine->trims != trims_.load(std::memory_order_relaxed)) {
    const MutexLock lock(mutex_);
    empty(*mine);
  }
  return mine;
}

// The way without a lock is all that stands here; it has no frame and no local Result.
Result<void*> PoolResource::allocate(std::size_t bytes, std::size_t alignment) {
  if (!is_small(bytes, alignment)) return take_pages(bytes, alignment);
  const std::size_t index = small_class(bytes);
  ThreadCache* const mine = ready_cache();
  if (mine == nullptr) [[unlikely]]
    return refill(bytes);
  if (mine->count(index) == 0) [[unlikely]]
    return refill(bytes);
  void* const memory = pop(*mine, index);
  unpoison(memory, bytes);
  return memory;
}

void PoolResource::deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept {
  if (memory == nullptr) return;
  if (!is_small(bytes, alignment)) return drop_pages(memory, bytes);
  const std::size_t index = small_class(bytes);
  poison(memory, small_class_bytes(index));
  ThreadCache* const mine = ready_cache();
  if (mine == nullptr) [[unlikely]]
    return overflow(memory, index);
  if (mine->count(index) == ThreadCache::slots_of(index)) [[unlikely]]
    return overflow(memory, index);
  push(*mine, index, memory);
}

// One block for the caller, and for its thread half a bin of what others gave back, or else a few
// of what is free already.
Result<void*> PoolResource::refill(std::size_t bytes) {
  ThreadCache* const mine = cache();
  const std::size_t index = small_class(bytes);
  if (mine != nullptr && mine->count(index) > 0) {  // the thread used another pool since
    void* const memory = pop(*mine, index);
    unpoison(memory, bytes);
    return memory;
  }
  const MutexLock lock(mutex_);
  void* shared = nullptr;
  if (shared_.take(index, {&shared, 1}) == 1) {
    unpoison(shared, bytes);
    if (mine != nullptr) {
      const std::size_t half = ThreadCache::slots_of(index) / 2;
      mine->set_count(
          index, static_cast<std::uint32_t>(shared_.take(index, {mine->slots_at(index), half})));
    }
    return shared;
  }
  auto memory = take_small(index);
  if (!memory) return memory;
  unpoison(*memory, bytes);
  if (mine != nullptr) cut_some(*mine, index);
  return memory;
}

void PoolResource::cut_some(ThreadCache& cache, std::size_t index) {
  std::uint32_t count = cache.count(index);
  try {
    for (; count < std::min(ThreadCache::slots_of(index) / 4, kCutAtOnce); ++count) {
      void* const another = small_.take(small_class_bytes(index));
      if (another == nullptr) break;
      cache.slots_at(index)[count] = another;
    }
  } catch (const std::bad_alloc&) {
    // No tags for more: the caller has what it asked for.
  }
  cache.set_count(index, count);
  note_peak();
}

// A bin that is full gives back half of itself, what it had longest.
void PoolResource::overflow(void* memory, std::size_t index) noexcept {
  ThreadCache* const mine = cache();
  if (mine != nullptr && mine->count(index) < ThreadCache::slots_of(index))
    return push(*mine, index, memory);
  const MutexLock lock(mutex_);
  if (mine == nullptr) return give_small(memory);
  void** const slots = mine->slots_at(index);
  const std::uint32_t count = mine->count(index);
  const std::uint32_t half = count / 2;
  for (std::size_t i = shared_.put(index, {slots, half}); i < half; ++i) give_small(slots[i]);
  std::copy(slots + half, slots + count, slots);
  mine->set_count(index, count - half);
  push(*mine, index, memory);
}

void PoolResource::drop_pages(void* memory, std::size_t bytes) noexcept {
  poison(memory, bytes);
  const MutexLock lock(mutex_);
  give_pages(memory);
}

Result<void*> PoolResource::take_small(std::size_t index) {
  const std::size_t bytes = small_class_bytes(index);
  try {
    void* memory = small_.take(bytes);
    if (memory == nullptr) {
      std::size_t chunk_bytes =
          std::clamp(to_pages(small_.chunk_bytes() / 8), kGrowthMin, kSmallChunkMax);
      auto chunk = pages(chunk_bytes);
      if (!chunk) chunk = pages(chunk_bytes = to_pages(bytes));
      if (!chunk) return chunk;
      try {
        small_.add({static_cast<std::byte*>(*chunk), chunk_bytes});
      } catch (const std::bad_alloc&) {
        give_pages(*chunk);
        throw;
      }
      memory = small_.take(bytes);
    }
    note_peak();
    return memory;
  } catch (const std::bad_alloc&) {
    return fail(no_tags());
  }
}

Result<void*> PoolResource::take_pages(std::size_t bytes, std::size_t alignment) {
  check(std::has_single_bit(alignment) && alignment <= kPoolPage,
        "alignment is a power of two to 4096");
  if (bytes == 0) return nullptr;
  if (bytes > kBytesMax)
    return fail(Code::kResourceExhausted,
                "no machine has " + format_bytes(bytes) + " of memory in one piece");
  const MutexLock lock(mutex_);
  auto memory = pages(to_pages(bytes));
  if (memory) unpoison(*memory, bytes);
  note_peak();
  return memory;
}

Result<void*> PoolResource::pages(std::size_t bytes) {
  try {
    void* memory = pages_.take(bytes);
    if (memory != nullptr) return memory;
    const Status grown = grow(bytes);
    // Refused or not: in the end grow() has given back all that is free, and it may fit together.
    memory = pages_.take(bytes);
    check(memory != nullptr || !grown.ok(), "a pool that grew has what it grew for");
    if (memory == nullptr) return fail(grown);
    return memory;
  } catch (const std::bad_alloc&) {
    return fail(no_tags());
  }
}

// A chunk that has room for `bytes`.
Status PoolResource::grow(std::size_t bytes) {
  const std::size_t spare = std::max(to_pages(pages_.chunk_bytes() / kSpareShare), kGrowthMin);
  const std::size_t wanted = std::max(bytes, spare);
  const std::size_t most = std::max(used_peak_, pages_.used_bytes() + bytes);
  const std::size_t allowed = most + std::max(most / kSpareShare, kGrowthMin);
  while (pages_.chunk_bytes() + wanted > allowed && pages_.whole_bytes() > 0)
    release(pages_.whole_chunk());
  if (from_upstream(wanted)) return Status::success();
  trims_.fetch_add(1, std::memory_order_relaxed);
  if (last_cache.pool == number_) empty(*last_cache.cache);
  empty_shared();
  release_down_to(0);
  if (from_upstream(wanted)) return Status::success();
  auto memory = from_upstream(bytes);
  return memory ? Status::success() : memory.error();
}

Result<void*> PoolResource::from_upstream(std::size_t bytes) {
  auto memory = upstream_.allocate(bytes, kPoolPage);
  if (!memory) return memory;
  try {
    pages_.add({static_cast<std::byte*>(*memory), bytes});
  } catch (const std::bad_alloc&) {
    upstream_.deallocate(*memory, bytes, kPoolPage);
    return fail(no_tags());
  }
  poison(*memory, bytes);
  ++upstream_allocations_;
  held_peak_ = std::max(held_peak_, pages_.chunk_bytes());
  return memory;
}

void PoolResource::give_small(void* memory) {
  const BlockHeap::Chunk chunk = small_.give(memory);
  if (chunk.begin == nullptr) return;
  small_.remove(chunk);
  give_pages(chunk.begin);
}

void PoolResource::give_pages(const void* memory) {
  const BlockHeap::Chunk chunk = pages_.give(memory);
  if (chunk.begin != nullptr && pages_.whole_bytes() > options_.keep_bytes) release(chunk);
}

void PoolResource::empty(ThreadCache& cache) {
  cache.trims = trims_.load(std::memory_order_relaxed);
  for (std::size_t index = 0; index < kSmallClasses; ++index) {
    for (std::uint32_t i = 0; i < cache.count(index); ++i) give_small(cache.slots_at(index)[i]);
    cache.set_count(index, 0);
  }
}

void PoolResource::empty_shared() {
  std::array<void*, 64> some{};
  for (std::size_t index = 0; index < kSmallClasses; ++index) {
    for (std::size_t count = 0; (count = shared_.take(index, some)) > 0;)
      std::for_each_n(some.begin(), count,
                      [this](void* block) OW_REQUIRES(mutex_) { give_small(block); });
  }
}

void PoolResource::release_down_to(std::size_t whole_bytes) {
  while (pages_.whole_bytes() > whole_bytes) release(pages_.whole_chunk());
}

void PoolResource::release(const BlockHeap::Chunk& chunk) {
  pages_.remove(chunk);
  unpoison(chunk.begin, chunk.bytes);
  upstream_.deallocate(chunk.begin, chunk.bytes, kPoolPage);
}

void PoolResource::note_peak() {
  // Chunks of small blocks are used pages.
  const std::size_t used = pages_.used_bytes() - small_.chunk_bytes() + small_.used_bytes();
  used_peak_ = std::max(used_peak_, used);
}

void PoolResource::trim(std::size_t keep_bytes) {
  trims_.fetch_add(1, std::memory_order_relaxed);
  (void)cache();  // sees the trim
  const MutexLock lock(mutex_);
  empty_shared();
  release_down_to(keep_bytes);
}

PoolStatistics PoolResource::statistics() const {
  const MutexLock lock(mutex_);
  PoolStatistics s;
  s.cached_bytes = shared_.bytes();
  for (const auto& cache : caches_) s.cached_bytes += cache->bytes();
  s.held_bytes = pages_.chunk_bytes();
  s.held_peak_bytes = held_peak_;
  const std::size_t taken = pages_.used_bytes() - small_.chunk_bytes() + small_.used_bytes();
  s.used_bytes = taken - std::min(taken, s.cached_bytes);
  s.used_peak_bytes = used_peak_;
  s.free_bytes = pages_.free_bytes() + small_.free_bytes();
  s.largest_free_bytes = std::max(pages_.largest_free_bytes(), small_.largest_free_bytes());
  s.free_blocks = pages_.free_blocks() + small_.free_blocks();
  s.chunks = pages_.chunks();
  s.upstream_allocations = upstream_allocations_;
  return s;
}

ThreadCache& PoolResource::new_cache() {
  const MutexLock lock(mutex_);
  caches_.push_back(std::make_unique<ThreadCache>());
  caches_.back()->trims = trims_.load(std::memory_order_relaxed);
  return *caches_.back();
}

void PoolResource::retire(ThreadCache& cache) {
  const MutexLock lock(mutex_);
  empty(cache);
  std::erase_if(caches_, [&](const auto& kept) { return kept.get() == &cache; });
}

}  // namespace overwinter::worker
