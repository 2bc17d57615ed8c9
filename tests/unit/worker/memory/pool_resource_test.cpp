// What a pool adds to the suite of every resource (tests/contract): that it keeps, coalesces, gives
// back, stays within what is needed, and does so for many threads.
#include "worker/memory/pool_resource.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "common/base/bytes.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"
#include "worker/memory/size_classes.h"
#include "worker/memory/statistics_resource.h"

namespace overwinter::worker {
namespace {

struct Piece {
  std::byte* memory = nullptr;
  std::size_t bytes = 0;
  std::size_t alignment = kDefaultAlignment;
  std::byte mark{};
};

Piece take(MemoryResource& from, std::size_t bytes, std::byte mark,
           std::size_t alignment = kDefaultAlignment) {
  auto memory = from.allocate(bytes, alignment);
  EXPECT_TRUE(memory.has_value());
  Piece piece{static_cast<std::byte*>(*memory), bytes, alignment, mark};
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(*memory) % alignment, 0U);
  // Both ends: a block that overlaps another would change one of them.
  piece.memory[0] = piece.memory[bytes - 1] = piece.memory[bytes / 2] = mark;
  return piece;
}

void give(MemoryResource& to, const Piece& piece) {
  EXPECT_TRUE(piece.memory[0] == piece.mark && piece.memory[piece.bytes - 1] == piece.mark &&
              piece.memory[piece.bytes / 2] == piece.mark);
  to.deallocate(piece.memory, piece.bytes, piece.alignment);
}

std::size_t random_size(std::mt19937_64& random) {
  return 1 + random() % (std::size_t{1} << random() % 18);  // to 128 KiB, small ones most
}

TEST(SizeClasses, CoverEverySizeTightly) {
  for (std::size_t bytes = 1; bytes <= kSmallBytesMax; ++bytes) {
    const std::size_t index = small_class(bytes);
    ASSERT_LT(index, kSmallClasses);
    ASSERT_GE(small_class_bytes(index), bytes);
    ASSERT_TRUE(index == 0 || small_class_bytes(index - 1) < bytes);
    ASSERT_EQ(small_class_bytes(index) % kSmallGranule, 0U);
  }
}

void random_moves(MemoryResource& pool, std::uint64_t seed, int moves, std::size_t live_max) {
  std::mt19937_64 random(seed);
  std::vector<Piece> live;
  for (int move = 0; move < moves; ++move) {
    if (live.empty() || (live.size() < live_max && random() % 2 == 0)) {
      live.push_back(take(pool, random_size(random), std::byte(move)));
    } else {
      std::swap(live[random() % live.size()], live.back());
      give(pool, live.back());
      live.pop_back();
    }
  }
  for (const Piece& piece : live) give(pool, piece);
}

TEST(Pool, AfterAMillionRandomMovesEverythingIsOneBlockAgain) {
  for (const std::uint64_t seed : {1U, 2U}) {
    HostResource host;
    StatisticsResource upstream(host);
    PoolResource pool(upstream, {.first_bytes = 256 * kMiB});
    // On two threads: their caches are given back when they end.
    std::thread other([&] { random_moves(pool, seed, 500'000, 1000); });
    std::thread([&] { random_moves(pool, seed + 100, 500'000, 1000); }).join();
    other.join();
    pool.trim(SIZE_MAX);
    const PoolStatistics s = pool.statistics();
    EXPECT_EQ(s.upstream_allocations, 1U) << "seed " << seed;
    EXPECT_EQ(s.used_bytes + s.cached_bytes, 0U);
    EXPECT_EQ(s.free_blocks, 1U);
    EXPECT_EQ(s.largest_free_bytes, 256 * kMiB);
    pool.trim();
    EXPECT_EQ(upstream.statistics().current_bytes, 0U);
  }
}

TEST(Pool, ATrimGivesEverythingBackAfterAMillionMovesOfAThreadThatGoesOn) {
  HostResource host;
  StatisticsResource upstream(host);
  PoolResource pool(upstream);
  random_moves(pool, 3, 1'000'000, 500);
  EXPECT_EQ(pool.statistics().used_bytes, 0U);
  pool.trim();
  EXPECT_EQ(pool.statistics().held_bytes, 0U);
  EXPECT_EQ(upstream.statistics().current_bytes, 0U);
}

TEST(Pool, FreeBlocksBecomeOneWithoutGoingBack) {
  HostResource host;
  PoolResource pool(host, {.first_bytes = 64 * kMiB});
  const Piece pin = take(pool, 20000, std::byte{1});
  // All on a thread of its own, whose cache is given back when it ends.
  std::thread([&] {
    std::mt19937_64 random(3);
    std::vector<Piece> live;
    for (int i = 0; i < 500; ++i) live.push_back(take(pool, random_size(random), std::byte(i)));
    std::shuffle(live.begin(), live.end(), random);
    for (const Piece& piece : live) give(pool, piece);
  }).join();
  pool.trim(SIZE_MAX);
  const PoolStatistics s = pool.statistics();
  EXPECT_EQ(s.held_bytes, 64 * kMiB);
  EXPECT_EQ(s.cached_bytes, 0U);
  EXPECT_EQ(s.free_blocks, 1U);
  EXPECT_EQ(s.largest_free_bytes, s.free_bytes);
  EXPECT_EQ(s.fragmentation(), 0);
  give(pool, pin);
}

TEST(Pool, TheSameAgainTakesNothingFromUpstream) {
  HostResource host;
  PoolResource pool(host);
  const auto step = [&] {
    std::vector<Piece> live;
    for (const std::size_t bytes : {100UL, 5000UL, 70000UL, 9UL << 20, 3UL << 20, 64UL})
      live.push_back(take(pool, bytes, std::byte{1}));
    for (const Piece& piece : live) give(pool, piece);
  };
  step();
  const auto after_first = pool.statistics();
  for (int i = 0; i < 50; ++i) step();
  EXPECT_EQ(pool.statistics().upstream_allocations, after_first.upstream_allocations);
  EXPECT_EQ(pool.statistics().held_bytes, after_first.held_bytes);
}

TEST(Pool, StatisticsTellCurrentPeakAndHoles) {
  HostResource host;
  PoolResource pool(host);
  const Piece a = take(pool, 8 * kMiB, std::byte{1});
  const Piece b = take(pool, 4 * kMiB, std::byte{2});
  EXPECT_EQ(pool.statistics().used_bytes, 12 * kMiB);
  EXPECT_EQ(pool.statistics().held_bytes, 12 * kMiB);
  give(pool, a);
  const Piece c = take(pool, kMiB, std::byte{3});
  PoolStatistics s = pool.statistics();
  EXPECT_EQ(s.used_bytes, 5 * kMiB);
  EXPECT_EQ(s.used_peak_bytes, 12 * kMiB);
  EXPECT_EQ(s.held_peak_bytes, 12 * kMiB);
  EXPECT_EQ(s.free_bytes, 7 * kMiB);
  EXPECT_EQ(s.largest_free_bytes, 7 * kMiB);
  EXPECT_EQ(s.chunks, 2U);
  give(pool, b);
  s = pool.statistics();
  EXPECT_NEAR(s.fragmentation(), 1 - 7.0 / 11, 1e-9);
  give(pool, c);
  const Piece small = take(pool, 100, std::byte{4});
  s = pool.statistics();
  EXPECT_EQ(s.used_bytes, 128U);
  EXPECT_GT(s.cached_bytes, 0U);
  give(pool, small);
}

TEST(Pool, ARefusalIsUpstreamsSentenceAndLeavesEverythingAsItWas) {
  HostResource host;
  LimitingResource seat(host, 10 * kMiB, "the seat");
  PoolResource pool(seat);
  const Piece a = take(pool, 6 * kMiB, std::byte{1});
  const PoolStatistics before = pool.statistics();
  const auto refused = pool.allocate(5 * kMiB, 64);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().message,
            "out of the memory of the seat: 5.0 MiB asked, 6.0 MiB held, 10.0 MiB allowed");
  EXPECT_EQ(pool.statistics().held_bytes, before.held_bytes);
  EXPECT_EQ(pool.statistics().used_bytes, before.used_bytes);
  give(pool, take(pool, 4 * kMiB, std::byte{2}));  // what fits is given
  give(pool, a);
}

TEST(Pool, FreeChunksGoBackBeforeALimitRefuses) {
  HostResource host;
  LimitingResource seat(host, 10 * kMiB, "the seat");
  PoolResource pool(seat);
  give(pool, take(pool, 6 * kMiB, std::byte{1}));
  give(pool, take(pool, 100, std::byte{1}));  // its chunk is in the thread's cache
  give(pool, take(pool, 10 * kMiB, std::byte{2}));
  // The last page of a limit is had by small blocks too.
  const Piece most = take(pool, 10 * kMiB - 4096, std::byte{3});
  give(pool, take(pool, 4000, std::byte{4}));
  give(pool, most);
}

TEST(Pool, KeepsNoMoreThanItIsTold) {
  HostResource host;
  StatisticsResource upstream(host);
  PoolResource pool(upstream, {.keep_bytes = 8 * kMiB});
  const Piece a = take(pool, 8 * kMiB, std::byte{1});
  const Piece b = take(pool, 2 * kMiB, std::byte{2});
  give(pool, a);
  EXPECT_EQ(upstream.statistics().current_bytes, 10 * kMiB);
  give(pool, b);
  EXPECT_EQ(upstream.statistics().current_bytes, 8 * kMiB);
  pool.trim();
  EXPECT_EQ(upstream.statistics().current_bytes, 0U);
}

TEST(Pool, WhatIsHeldFollowsWhatIsUsed) {
  HostResource host;
  PoolResource pool(host);
  // Each piece fits in no chunk that is there: without care all of them would be held.
  for (std::size_t mib = 8; mib <= 64; ++mib) give(pool, take(pool, mib * kMiB, std::byte{1}));
  EXPECT_LE(pool.statistics().held_peak_bytes, 67 * kMiB);
}

TEST(Pool, MemoryOfAThreadMayBeFreedByAnother) {
  HostResource host;
  PoolResource pool(host);
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Piece> queue;
  bool over = false;
  std::thread taker([&] {
    std::mt19937_64 random(5);
    for (int i = 0; i < 20000; ++i) {
      const Piece piece = take(pool, random_size(random) / 16 + 1, std::byte(i));
      const std::lock_guard lock(mutex);
      queue.push_back(piece);
      changed.notify_one();
    }
    const std::lock_guard lock(mutex);
    over = true;
    changed.notify_one();
  });
  for (bool ended = false; !ended;) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return over || !queue.empty(); });
    const std::vector<Piece> mine = std::move(queue);
    queue.clear();
    ended = over && mine.empty();
    lock.unlock();
    for (const Piece& piece : mine) give(pool, piece);
  }
  taker.join();
  pool.trim();
  EXPECT_EQ(pool.statistics().held_bytes, 0U);
}

// Threads that take, give, trim and look at once; for the sanitizers too.
TEST(Pool, ThreadsHammerOnePool) {
  HostResource host;
  StatisticsResource upstream(host);
  PoolResource pool(upstream, {.keep_bytes = kMiB});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      std::mt19937_64 random(t);
      std::vector<Piece> live;
      for (int move = 0; move < 30000; ++move) {
        if (live.size() < 60 && random() % 2 == 0) {
          const std::size_t alignment = random() % 16 == 0 ? 4096 : 64;
          live.push_back(take(pool, random_size(random), std::byte(t), alignment));
        } else if (!live.empty()) {
          std::swap(live[random() % live.size()], live.back());
          give(pool, live.back());
          live.pop_back();
        }
        if (random() % 4000 == 0) pool.trim();
        if (random() % 2000 == 0) {
          EXPECT_LE(pool.statistics().fragmentation(), 1);
        }
      }
      for (const Piece& piece : live) give(pool, piece);
    });
  }
  for (std::thread& thread : threads) thread.join();
  pool.trim();
  EXPECT_EQ(pool.statistics().held_bytes, 0U);
  EXPECT_EQ(upstream.statistics().current_bytes, 0U);
}

TEST(Pool, ManyPoolsInOneThreadAreNotMixedUp) {
  HostResource host;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<PoolResource>> pools;
    for (int i = 0; i < 5; ++i) pools.push_back(std::make_unique<PoolResource>(host));
    std::vector<Piece> live;
    for (int i = 0; i < 200; ++i)
      live.push_back(take(*pools[static_cast<std::size_t>(i) % 5], 64 + static_cast<std::size_t>(i),
                          std::byte(i)));
    for (std::size_t i = 0; i < live.size(); ++i) give(*pools[i % 5], live[i]);
    for (const auto& pool : pools) EXPECT_EQ(pool->statistics().used_bytes, 0U);
  }  // each checks at its end that everything is there
}

TEST(Pool, APoolMayEndBeforeTheThreadsThatUsedIt) {
  HostResource host;
  auto pool = std::make_unique<PoolResource>(host);
  std::mutex mutex;
  std::condition_variable changed;
  int stage = 0;
  const auto wait_for = [&](int wanted) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return stage >= wanted; });
  };
  const auto reach = [&](int next) {
    const std::lock_guard lock(mutex);
    stage = next;
    changed.notify_all();
  };
  std::thread user([&] {
    give(*pool, take(*pool, 100, std::byte{1}));
    reach(1);
    wait_for(2);  // its cache is of a pool that is gone
    PoolResource another(host);
    give(another, take(another, 100, std::byte{1}));
  });
  wait_for(1);
  pool.reset();
  reach(2);
  user.join();
}

TEST(PoolDeath, WhatIsNotGivenBackIsSaid) {
  EXPECT_DEATH(
      {
        HostResource host;
        PoolResource pool(host);
        (void)pool.allocate(100, 64);
      },
      "everything is given back before its pool ends");
}

#if defined(__SANITIZE_ADDRESS__)
TEST(PoolDeath, AddressSanitizerSeesWhatIsFreeInAPool) {
  HostResource host;
  PoolResource pool(host);
  auto* const memory = static_cast<volatile char*>(*pool.allocate(100, 64));
  EXPECT_DEATH(memory[100] = 1, "use-after-poison");
  pool.deallocate(const_cast<char*>(memory), 100, 64);
  EXPECT_DEATH(memory[0] = 1, "use-after-poison");
}
#endif

}  // namespace
}  // namespace overwinter::worker
