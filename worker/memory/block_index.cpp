#include "worker/memory/block_index.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kEntriesMin = 64;
constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;  // Knuth's multiplicative hashing
constexpr unsigned kLowBits = 6;                       // the same for all addresses

}  // namespace

std::size_t BlockIndex::home(std::uintptr_t address) const {
  return (address >> kLowBits) * kGolden >> shift_;
}

void BlockIndex::reserve(std::size_t count) {
  if (2 * count <= entries_.size()) return;
  std::vector<Entry> old(std::bit_ceil(std::max(4 * count, kEntriesMin)));
  old.swap(entries_);
  shift_ = 64 - static_cast<unsigned>(std::countr_zero(entries_.size()));
  size_ = 0;
  for (const Entry& entry : old) {
    if (entry.address != 0) insert(reinterpret_cast<const void*>(entry.address), entry.block);
  }
}

void BlockIndex::insert(const void* address, std::uint32_t block) {
  check(2 * (size_ + 1) <= entries_.size(), "there is room for a block's address");
  const auto key = reinterpret_cast<std::uintptr_t>(address);
  std::size_t at = home(key);
  while (entries_[at].address != 0) at = (at + 1) & (entries_.size() - 1);
  entries_[at] = {key, block};
  ++size_;
}

std::uint32_t BlockIndex::erase(const void* address) {
  if (size_ == 0) return kNone;
  const auto key = reinterpret_cast<std::uintptr_t>(address);
  const std::size_t mask = entries_.size() - 1;
  std::size_t hole = home(key);
  for (; entries_[hole].address != key; hole = (hole + 1) & mask) {
    if (entries_[hole].address == 0) return kNone;
  }
  const std::uint32_t block = entries_[hole].block;
  // What was pushed past the hole moves into it, unless its home lies behind the hole.
  for (std::size_t at = (hole + 1) & mask; entries_[at].address != 0; at = (at + 1) & mask) {
    if (((at - home(entries_[at].address)) & mask) < ((at - hole) & mask)) continue;
    entries_[hole] = entries_[at];
    hole = at;
  }
  entries_[hole] = {};
  --size_;
  return block;
}

}  // namespace overwinter::worker
