// Sizes in bytes as people write and read them, digests, and hexadecimal text.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// "512 B", "64.0 MiB", "1.5 GiB".
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);
// "64MiB", "4 GiB", "1.5GiB", "200MB" (decimal), "4096B". A bare number is refused: it has no unit.
[[nodiscard]] Result<std::uint64_t> parse_bytes(std::string_view text);

// A SHA-256 value. How content digests are made of it: coordinator/artifacts and client/sdk
// (common/formats/digest.h).
struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const Digest&, const Digest&) = default;
};

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> data);
[[nodiscard]] inline std::string to_hex(const Digest& digest) {
  return to_hex(std::span(digest.bytes));
}
[[nodiscard]] Result<Digest> parse_digest(std::string_view hex);

}  // namespace overwinter
