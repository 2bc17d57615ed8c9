// ThreadCache: small blocks that one thread gave back and may have again without a lock. Bounded
// in bytes. And how a thread finds its cache of a pool.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "worker/memory/size_classes.h"

namespace overwinter::worker {

class PoolResource;

// Of one thread; others read `counts` alone.
struct ThreadCache {
  static constexpr std::size_t kSlotsMax = 256;
  static constexpr std::size_t kClassBytesMax = 32 * 1024;

  // Where the slots of each class begin: at most 256 blocks of a class and 32 KiB of them, but two;
  // less than 1 MiB together.
  static constexpr auto kBegins = [] {
    std::array<std::uint32_t, kSmallClasses + 1> begins{};
    for (std::size_t i = 0; i < kSmallClasses; ++i) {
      begins[i + 1] = begins[i] + static_cast<std::uint32_t>(std::clamp<std::size_t>(
                                      kClassBytesMax / small_class_bytes(i), 2, kSlotsMax));
    }
    return begins;
  }();

  [[nodiscard]] static constexpr std::uint32_t slots_of(std::size_t index) {
    return kBegins[index + 1] - kBegins[index];
  }
  [[nodiscard]] void** slots_at(std::size_t index) { return &slots[kBegins[index]]; }
  [[nodiscard]] std::uint32_t count(std::size_t index) const {
    return counts[index].load(std::memory_order_relaxed);
  }
  // The thread itself, so that there is no read-modify-write.
  void set_count(std::size_t index, std::uint32_t count) {
    counts[index].store(count, std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < kSmallClasses; ++i) sum += count(i) * small_class_bytes(i);
    return sum;
  }

  std::array<std::atomic<std::uint32_t>, kSmallClasses> counts{};
  std::uint64_t trims = 0;  // the pool's, when this was last emptied for it
  std::array<void*, kBegins[kSmallClasses]> slots;
};

// Pools are told apart by numbers that are never used again: a thread may still know the cache of
// one that has ended.
using PoolNumber = std::uint64_t;

struct KnownCache {
  PoolNumber pool = 0;
  ThreadCache* cache = nullptr;
};

// The one that this thread used last. Trivial, so that reading it is one instruction.
extern constinit thread_local KnownCache last_cache;

// The calling thread's cache of the pool, made if it has none; becomes `last_cache`. Null in a
// thread that is ending: it goes without. When a thread ends, its caches are given to their pools
// (PoolResource::retire), those that still are.
[[nodiscard]] ThreadCache* cache_of_this_thread(PoolResource& pool);

// A pool is known between these two.
[[nodiscard]] PoolNumber register_pool(PoolResource& pool);
void forget_pool(PoolNumber number);

}  // namespace overwinter::worker
