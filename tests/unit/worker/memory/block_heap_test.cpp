// BlockHeap and its index against slow twins, over random moves with seeds.
#include "worker/memory/block_heap.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace overwinter::worker {
namespace {

constexpr std::size_t kLine = 64;

// Never read or written: tags lie beside the memory.
std::byte* address(std::uintptr_t at) {
  return reinterpret_cast<std::byte*>(at);
}

TEST(BlockIndex, IsAMapOfAddresses) {
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    std::mt19937 random(seed);
    BlockIndex index;
    std::map<const void*, std::uint32_t> twin;
    for (std::uint32_t i = 0; i < 20000; ++i) {
      const void* at = address((1 + random() % 700) * kLine);
      const auto known = twin.find(at);
      if (known == twin.end() && random() % 2 == 0) {
        index.reserve(index.size() + 1);
        index.insert(at, i);
        twin[at] = i;
      } else {
        const std::uint32_t wanted = known == twin.end() ? BlockIndex::kNone : known->second;
        ASSERT_EQ(index.erase(at), wanted) << "seed " << seed << ", move " << i;
        if (known != twin.end()) twin.erase(known);
      }
      ASSERT_EQ(index.size(), twin.size());
    }
  }
}

TEST(BlockHeap, OneChunkIsOneBlockAgain) {
  BlockHeap heap(kLine);
  heap.add({address(0x10000), 1024});
  void* a = heap.take(128);
  void* b = heap.take(256);
  void* c = heap.take(640);
  EXPECT_EQ(heap.free_bytes(), 0U);
  EXPECT_EQ(heap.take(64), nullptr);
  EXPECT_EQ(heap.give(a).begin, nullptr);
  EXPECT_EQ(heap.give(c).begin, nullptr);
  EXPECT_EQ(heap.free_blocks(), 2U);
  EXPECT_EQ(heap.largest_free_bytes(), 640U);
  const BlockHeap::Chunk whole = heap.give(b);
  EXPECT_EQ(whole.begin, address(0x10000));
  EXPECT_EQ(whole.bytes, 1024U);
  EXPECT_EQ(heap.free_blocks(), 1U);
  EXPECT_EQ(heap.whole_bytes(), 1024U);
  heap.remove(whole);
  EXPECT_EQ(heap.chunk_bytes(), 0U);
  EXPECT_TRUE(heap.consistent());
}

TEST(BlockHeap, ChunksThatTouchStayApart) {
  BlockHeap heap(kLine);  // upstream wants each back as it was given
  heap.add({address(0x10000), 1024});
  heap.add({address(0x10400), 1024});
  EXPECT_EQ(heap.take(1088), nullptr);
  void* a = heap.take(1024);
  void* b = heap.take(1024);
  EXPECT_NE(heap.give(a).begin, nullptr);
  EXPECT_NE(heap.give(b).begin, nullptr);
  EXPECT_EQ(heap.whole_chunk().bytes, 1024U);
  EXPECT_EQ(heap.free_blocks(), 2U);
}

TEST(BlockHeap, WhatFitsExactlyIsTakenBeforeWhatIsCut) {
  BlockHeap heap(kLine);
  heap.add({address(0x10000), 64 * 100});
  void* keep[4];
  void* gone[4];
  for (int i = 0; i < 4; ++i) {
    gone[i] = heap.take(kLine * static_cast<std::size_t>(10 + i));
    keep[i] = heap.take(kLine);
  }
  for (void* block : gone) heap.give(block);
  for (int i = 3; i >= 0; --i)
    EXPECT_EQ(heap.take(kLine * static_cast<std::size_t>(10 + i)), gone[i]);
  for (void* block : keep) heap.give(block);
  EXPECT_TRUE(heap.consistent());
}

TEST(BlockHeapDeath, WhatWasNotTakenIsNotGivenBack) {
  BlockHeap heap(kLine);
  heap.add({address(0x10000), 1024});
  void* a = heap.take(128);
  heap.give(a);
  EXPECT_DEATH(heap.give(a), "was taken here, and once");
  EXPECT_DEATH(heap.give(address(0x10040)), "was taken here, and once");
}

// Random moves, sizes from a line to megabytes; a map of what is used says what may not overlap.
void random_moves(std::uint32_t seed) {
  std::mt19937_64 random(seed);
  BlockHeap heap(kLine);
  std::uintptr_t next_chunk = 0x100000;
  std::map<std::byte*, std::size_t> used;
  std::size_t held = 0;
  std::size_t taken = 0;
  for (int move = 0; move < 30000; ++move) {
    if (used.empty() || random() % 100 < 52) {
      const std::size_t bytes = kLine * (1 + random() % (std::size_t{1} << random() % 15));
      void* block = heap.take(bytes);
      if (block == nullptr) {
        EXPECT_LT(heap.largest_free_bytes(), bytes);
        const std::size_t chunk = bytes + kLine * (random() % 5000);
        heap.add({address(next_chunk), chunk});
        next_chunk += chunk + kLine * (random() % 2);
        held += chunk;
        block = heap.take(bytes);
      }
      auto* const begin = static_cast<std::byte*>(block);
      const auto after = used.lower_bound(begin);
      ASSERT_TRUE(after == used.end() || begin + bytes <= after->first) << "seed " << seed;
      ASSERT_TRUE(after == used.begin() ||
                  std::prev(after)->first + std::prev(after)->second <= begin);
      used[begin] = bytes;
      taken += bytes;
    } else {
      auto at = used.lower_bound(address(0x100000 + random() % (next_chunk - 0x100000)));
      if (at == used.end()) at = used.begin();
      const BlockHeap::Chunk whole = heap.give(at->first);
      taken -= at->second;
      used.erase(at);
      if (whole.begin != nullptr && random() % 2 == 0) {
        heap.remove(whole);
        held -= whole.bytes;
      }
    }
    ASSERT_EQ(heap.chunk_bytes(), held);
    ASSERT_EQ(heap.used_bytes(), taken);
    if (move % 500 == 0) {
      ASSERT_TRUE(heap.consistent()) << "seed " << seed << ", move " << move;
    }
  }
  for (const auto& [begin, bytes] : used) heap.give(begin);
  EXPECT_TRUE(heap.consistent());
  EXPECT_EQ(heap.free_blocks(), heap.chunks());
  EXPECT_EQ(heap.whole_bytes(), held);
}

TEST(BlockHeap, RandomMovesAgainstAMap) {
  for (std::uint32_t seed = 1; seed <= 8; ++seed) random_moves(seed);
}

}  // namespace
}  // namespace overwinter::worker
