// The sizes in which small blocks are kept: multiples of a cache line to 1 KiB, from there four a
// power of two, so that at most a fifth of a block is not asked for (below 1 KiB: 63 bytes).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace overwinter::worker {

inline constexpr std::size_t kSmallGranule = 64;
inline constexpr std::size_t kSmallBytesMax = 16384;
inline constexpr std::size_t kLinearBytesMax = 1024;
inline constexpr std::size_t kSmallClasses = 32;

// 1 to kSmallBytesMax bytes.
[[nodiscard]] constexpr std::size_t small_class(std::size_t bytes) {
  if (bytes <= kLinearBytesMax) return (bytes - 1) / kSmallGranule;
  const auto low = static_cast<unsigned>(std::bit_width(bytes - 1)) - 3;  // two bits below the top
  return 16 + 4 * (low - 8) + (((bytes - 1) >> low) - 4);
}

[[nodiscard]] constexpr std::size_t small_class_bytes(std::size_t index) {
  if (index < 16) return (index + 1) * kSmallGranule;
  return (index % 4 + 5) << (8 + (index - 16) / 4);
}

static_assert(small_class(kSmallBytesMax) == kSmallClasses - 1);
static_assert(small_class_bytes(kSmallClasses - 1) == kSmallBytesMax);
static_assert(small_class(1025) == 16 && small_class_bytes(16) == 1280);

}  // namespace overwinter::worker
