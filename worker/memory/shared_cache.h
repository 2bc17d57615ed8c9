// SharedCache: small blocks that threads gave back in bunches and others take in bunches, so that
// most of what overflows a thread's cache costs a copy of pointers. Bounded in bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/memory/size_classes.h"

namespace overwinter::worker {

// Not thread-safe.
class SharedCache {
 public:
  static constexpr std::size_t kBytesMax = std::size_t{1} << 20;

  // How many of the blocks it has taken: the first ones, as many as there is room for.
  [[nodiscard]] std::size_t put(std::size_t index, std::span<void* const> blocks) noexcept;
  // Fills `blocks` from the front; how many there were.
  [[nodiscard]] std::size_t take(std::size_t index, std::span<void*> blocks);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::array<std::vector<void*>, kSmallClasses> bins_;
  std::size_t bytes_ = 0;
};

}  // namespace overwinter::worker
