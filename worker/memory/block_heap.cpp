#include "worker/memory/block_heap.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"

namespace overwinter::worker {
namespace {

constexpr int kLooksInABin = 16;

}  // namespace

BlockHeap::BlockHeap(std::size_t granule_bytes)
    : granule_shift_(static_cast<unsigned>(std::countr_zero(granule_bytes))) {
  check(std::has_single_bit(granule_bytes) && granule_bytes >= 64, "a granule is a power of two");
  bins_.fill(kNone);
}

// 1 to 15 granules have a bin each; from 16 on the highest five bits say which.
std::size_t BlockHeap::bin_of(std::size_t bytes) const {
  const std::size_t granules = bytes >> granule_shift_;
  if (granules < kCuts) return granules;
  const auto low = static_cast<unsigned>(std::bit_width(granules)) - 1 - kCutBits;
  return (low << kCutBits) + (granules >> low);
}

std::uint32_t BlockHeap::tightest(std::size_t bin, std::size_t bytes) const {
  std::uint32_t best = kNone;
  std::uint32_t at = bins_[bin];
  for (int looks = 0; at != kNone && looks < kLooksInABin; ++looks, at = blocks_[at].next) {
    const std::size_t has = blocks_[at].bytes;
    if (has == bytes) return at;
    if (has > bytes && (best == kNone || has < blocks_[best].bytes)) best = at;
  }
  return best;
}

std::uint32_t BlockHeap::find(std::size_t bytes) const {
  const std::size_t bin = bin_of(bytes);
  if (bin >= bins_.size()) return kNone;
  if (const std::uint32_t block = tightest(bin, bytes); block != kNone) return block;
  std::size_t power = bin / kCuts;
  unsigned cuts = cuts_filled_[power] & (~std::uint32_t{1} << bin % kCuts);
  if (cuts == 0) {
    const std::uint64_t above = powers_filled_ & (~std::uint64_t{1} << power);
    if (above == 0) return kNone;
    power = static_cast<std::size_t>(std::countr_zero(above));
    cuts = cuts_filled_[power];
  }
  return tightest(power * kCuts + static_cast<std::size_t>(std::countr_zero(cuts)), bytes);
}

void BlockHeap::link(std::uint32_t block) {
  Block& b = blocks_[block];
  b.free = true;
  const std::size_t bin = bin_of(b.bytes);
  b.previous = kNone;
  b.next = bins_[bin];
  if (b.next != kNone) blocks_[b.next].previous = block;
  bins_[bin] = block;
  cuts_filled_[bin / kCuts] |= static_cast<std::uint16_t>(1U << bin % kCuts);
  powers_filled_ |= std::uint64_t{1} << bin / kCuts;
  free_bytes_ += b.bytes;
  ++free_blocks_;
  if (whole(b)) whole_bytes_ += b.bytes;
}

// Neighbours are still what they were when it was linked.
void BlockHeap::unlink(std::uint32_t block) {
  Block& b = blocks_[block];
  b.free = false;
  const std::size_t bin = bin_of(b.bytes);
  if (b.previous == kNone) {
    bins_[bin] = b.next;
  } else {
    blocks_[b.previous].next = b.next;
  }
  if (b.next != kNone) blocks_[b.next].previous = b.previous;
  if (bins_[bin] == kNone) {
    std::uint16_t& cuts = cuts_filled_[bin / kCuts];
    cuts &= static_cast<std::uint16_t>(~(1U << bin % kCuts));
    if (cuts == 0) powers_filled_ &= ~(std::uint64_t{1} << bin / kCuts);
  }
  free_bytes_ -= b.bytes;
  --free_blocks_;
  if (whole(b)) whole_bytes_ -= b.bytes;
}

std::uint32_t BlockHeap::new_tag() {
  if (spare_tag_ == kNone) {
    blocks_.emplace_back();
    return static_cast<std::uint32_t>(blocks_.size() - 1);
  }
  const std::uint32_t tag = spare_tag_;
  spare_tag_ = blocks_[tag].next;
  blocks_[tag] = {};
  return tag;
}

void BlockHeap::drop_tag(std::uint32_t block) {
  blocks_[block] = {};
  blocks_[block].next = spare_tag_;
  spare_tag_ = block;
}

void BlockHeap::add(Chunk chunk) {
  check(chunk.bytes > 0 && bin_of(chunk.bytes) < bins_.size(), "a chunk is of a sane size");
  chunks_.reserve(chunks_.size() + 1);
  const std::uint32_t block = new_tag();
  blocks_[block].begin = chunk.begin;
  blocks_[block].bytes = chunk.bytes;
  chunks_.push_back({chunk, block});
  chunk_bytes_ += chunk.bytes;
  link(block);
}

void* BlockHeap::take(std::size_t bytes) {
  used_.reserve(used_.size() + 1);
  if (spare_tag_ == kNone) drop_tag(new_tag());  // for what is cut off
  const std::uint32_t block = find(bytes);
  if (block == kNone) return nullptr;
  unlink(block);
  // The front is taken and keeps its tag, so that a chunk's first tag stays.
  if (blocks_[block].bytes > bytes) {
    const std::uint32_t rest = new_tag();
    Block& taken = blocks_[block];
    Block& left = blocks_[rest];
    left.begin = taken.begin + bytes;
    left.bytes = taken.bytes - bytes;
    left.before = block;
    left.after = taken.after;
    if (left.after != kNone) blocks_[left.after].before = rest;
    taken.bytes = bytes;
    taken.after = rest;
    link(rest);
  }
  used_.insert(blocks_[block].begin, block);
  return blocks_[block].begin;
}

// Both are unlinked.
void BlockHeap::swallow_after(std::uint32_t block) {
  Block& b = blocks_[block];
  const std::uint32_t gone = b.after;
  b.bytes += blocks_[gone].bytes;
  b.after = blocks_[gone].after;
  if (b.after != kNone) blocks_[b.after].before = block;
  drop_tag(gone);
}

BlockHeap::Chunk BlockHeap::give(const void* memory) {
  std::uint32_t block = used_.erase(memory);
  check(block != kNone, "what is given back was taken here, and once");
  if (const std::uint32_t after = blocks_[block].after; after != kNone && blocks_[after].free) {
    unlink(after);
    swallow_after(block);
  }
  if (const std::uint32_t before = blocks_[block].before; before != kNone && blocks_[before].free) {
    unlink(before);
    swallow_after(before);
    block = before;
  }
  link(block);
  if (!whole(blocks_[block])) return {};
  return {blocks_[block].begin, blocks_[block].bytes};
}

void BlockHeap::remove(const Chunk& chunk) {
  const auto place =
      std::ranges::find(chunks_, chunk.begin, [](const Place& p) { return p.chunk.begin; });
  check(place != chunks_.end(), "a chunk that leaves was here");
  const std::uint32_t block = place->first;
  check(blocks_[block].free && whole(blocks_[block]), "a chunk that leaves is one free block");
  unlink(block);
  drop_tag(block);
  chunk_bytes_ -= place->chunk.bytes;
  *place = chunks_.back();
  chunks_.pop_back();
}

BlockHeap::Chunk BlockHeap::whole_chunk() const {
  Chunk best;
  if (whole_bytes_ == 0) return best;
  for (const Place& place : chunks_) {
    const Block& b = blocks_[place.first];
    if (b.free && whole(b) && b.bytes > best.bytes) best = place.chunk;
  }
  return best;
}

std::size_t BlockHeap::largest_free_bytes() const {
  if (powers_filled_ == 0) return 0;
  const auto power = static_cast<std::size_t>(std::bit_width(powers_filled_)) - 1;
  const auto cut = static_cast<std::size_t>(std::bit_width(cuts_filled_[power])) - 1;
  std::size_t largest = 0;
  for (std::uint32_t at = bins_[power * kCuts + cut]; at != kNone; at = blocks_[at].next)
    largest = std::max(largest, blocks_[at].bytes);
  return largest;
}

bool BlockHeap::consistent() const {
  std::size_t chunk_bytes = 0, free_bytes = 0, whole_bytes = 0, free_blocks = 0, used = 0;
  for (const Place& place : chunks_) {
    std::byte* at = place.chunk.begin;
    std::uint32_t before = kNone;
    for (std::uint32_t i = place.first; i != kNone; i = blocks_[i].after) {
      const Block& b = blocks_[i];
      if (b.begin != at || b.bytes == 0 || b.before != before) return false;
      if (b.free && before != kNone && blocks_[before].free) return false;
      if (b.free) free_bytes += b.bytes;
      (b.free ? free_blocks : used) += 1;
      if (b.free && whole(b)) whole_bytes += b.bytes;
      at += b.bytes;
      before = i;
    }
    if (at != place.chunk.begin + place.chunk.bytes) return false;
    chunk_bytes += place.chunk.bytes;
  }
  std::size_t in_bins = 0;
  for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
    const bool filled = (cuts_filled_[bin / kCuts] >> bin % kCuts & 1) != 0;
    if (filled != (bins_[bin] != kNone)) return false;
    for (std::uint32_t i = bins_[bin]; i != kNone; i = blocks_[i].next) {
      if (!blocks_[i].free || bin_of(blocks_[i].bytes) != bin) return false;
      ++in_bins;
    }
  }
  return chunk_bytes == chunk_bytes_ && free_bytes == free_bytes_ && whole_bytes == whole_bytes_ &&
         free_blocks == free_blocks_ && in_bins == free_blocks && used == used_.size();
}

}  // namespace overwinter::worker
