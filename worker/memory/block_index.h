// Which block begins at an address: a hash table with open addressing (linear probing, entries
// moved back at an erase, so that there are no tombstones).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace overwinter::worker {

// Not thread-safe. Addresses are not null and at least 64 bytes apart.
class BlockIndex {
 public:
  // Room for so many addresses; the only call that allocates. Twice what is in use, at least.
  void reserve(std::size_t count);
  [[nodiscard]] std::size_t size() const { return size_; }
  // There is room for it and it is not there yet.
  void insert(const void* address, std::uint32_t block);
  // The block, which is there no more; kNone: no block begins there.
  [[nodiscard]] std::uint32_t erase(const void* address);

  static constexpr std::uint32_t kNone = UINT32_MAX;

 private:
  struct Entry {
    std::uintptr_t address = 0;  // 0: empty
    std::uint32_t block = kNone;
  };
  [[nodiscard]] std::size_t home(std::uintptr_t address) const;

  std::vector<Entry> entries_;  // a power of two of them, at most half of it in use
  unsigned shift_ = 0;
  std::size_t size_ = 0;
};

}  // namespace overwinter::worker
