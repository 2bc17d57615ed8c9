// Base64url without padding (RFC 4648 §5), SHA-256 of short texts, comparison in constant time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace overwinter {

[[nodiscard]] std::string base64url_encode(std::span<const std::uint8_t> data);
[[nodiscard]] std::string base64url_encode(std::string_view data);
// Strict: another alphabet, padding, an impossible length or stray last bits are INVALID_ARGUMENT,
// so that a value has exactly one spelling.
[[nodiscard]] Result<std::string> base64url_decode(std::string_view text);

[[nodiscard]] Digest sha256(std::string_view data);

// Takes the same time wherever the difference lies; texts of different length are unequal at once.
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b);
[[nodiscard]] bool equal_constant_time(const Digest& a, const Digest& b);

}  // namespace overwinter
