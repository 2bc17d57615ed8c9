// BlockHeap: free and used blocks of some chunks of memory. Its tags lie beside the memory and
// never in it, so that the memory may be a device's.
//
//   chunk   [ used 8 | free 24 | used 4 | free 28 ]     a block knows its neighbours in its chunk;
//   bins    8..: -   16..: 24   28..: 28                a free one lies in the bin of its size
//
// Bins follow TLSF (Masmano and others 2004): a power of two, cut in 16. A block is taken from the
// tightest of a few of its own bin, else from the next bin that is not empty, and cut; a block that
// is given back becomes one with free neighbours at once. Both take constant time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/memory/block_index.h"

namespace overwinter::worker {

// Not thread-safe. Never touches the memory itself.
class BlockHeap {
 public:
  struct Chunk {
    std::byte* begin = nullptr;
    std::size_t bytes = 0;
  };

  // All sizes are multiples of `granule_bytes`, a power of two of at least 64; every block begins
  // on a multiple of it, counted from its chunk's begin.
  explicit BlockHeap(std::size_t granule_bytes);

  // One more chunk, which is one free block.
  void add(Chunk chunk);
  // Null when no block is as large. The only call beside add() that may throw (std::bad_alloc, of
  // the tags), and then nothing has changed.
  [[nodiscard]] void* take(std::size_t bytes);
  // A block that was taken. Its chunk when that is one free block now; else null and 0.
  Chunk give(const void* block);
  // A chunk that is one free block leaves the heap.
  void remove(const Chunk& chunk);
  // A chunk that is one free block, the largest of them; null and 0 when there is none.
  [[nodiscard]] Chunk whole_chunk() const;

  [[nodiscard]] std::size_t chunk_bytes() const { return chunk_bytes_; }
  [[nodiscard]] std::size_t free_bytes() const { return free_bytes_; }
  [[nodiscard]] std::size_t used_bytes() const { return chunk_bytes_ - free_bytes_; }
  // Of chunks that are one free block.
  [[nodiscard]] std::size_t whole_bytes() const { return whole_bytes_; }
  [[nodiscard]] std::size_t chunks() const { return chunks_.size(); }
  [[nodiscard]] std::size_t free_blocks() const { return free_blocks_; }
  [[nodiscard]] std::size_t largest_free_bytes() const;
  // Looks at every block: neighbours fit, no two free ones touch, bins and sums are right.
  [[nodiscard]] bool consistent() const;

 private:
  static constexpr std::uint32_t kNone = BlockIndex::kNone;
  static constexpr unsigned kCutBits = 4;  // a power of two is cut in 16
  static constexpr std::size_t kCuts = 1U << kCutBits;
  static constexpr std::size_t kPowers = 56;

  struct Block {
    std::byte* begin = nullptr;
    std::size_t bytes = 0;
    std::uint32_t before = kNone, after = kNone;   // neighbours in the chunk
    std::uint32_t next = kNone, previous = kNone;  // in its bin, or of the tags that are not in use
    bool free = false;
  };
  struct Place {
    Chunk chunk;
    std::uint32_t first = kNone;  // its block at the chunk's begin, as long as the chunk is here
  };

  [[nodiscard]] std::size_t bin_of(std::size_t bytes) const;
  [[nodiscard]] std::uint32_t find(std::size_t bytes) const;
  [[nodiscard]] std::uint32_t tightest(std::size_t bin, std::size_t bytes) const;
  [[nodiscard]] bool whole(const Block& b) const { return b.before == kNone && b.after == kNone; }
  void link(std::uint32_t block);
  void unlink(std::uint32_t block);
  [[nodiscard]] std::uint32_t new_tag();
  void drop_tag(std::uint32_t block);
  void swallow_after(std::uint32_t block);

  const unsigned granule_shift_;
  std::vector<Block> blocks_;        // tags
  std::uint32_t spare_tag_ = kNone;  // of a list of tags that are not in use
  std::vector<Place> chunks_;
  BlockIndex used_;
  std::array<std::uint32_t, kPowers * kCuts> bins_;
  std::array<std::uint16_t, kPowers> cuts_filled_{};  // a bit a bin
  std::uint64_t powers_filled_ = 0;                   // a bit a power of two
  std::size_t chunk_bytes_ = 0, free_bytes_ = 0, whole_bytes_ = 0, free_blocks_ = 0;
};

}  // namespace overwinter::worker
