#include "common/domain/device.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace overwinter {
namespace {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// "80GB", "80GiB" in bytes; nothing: it is no size.
std::optional<std::uint64_t> size_of(std::string_view wish) {
  constexpr std::uint64_t kCountMax = 1'000'000;
  std::uint64_t count = 0;
  const auto [rest, failed] = std::from_chars(wish.data(), wish.data() + wish.size(), count);
  if (failed != std::errc() || count == 0 || count > kCountMax) return std::nullopt;
  const std::string_view unit = wish.substr(static_cast<std::size_t>(rest - wish.data()));
  if (same_word(unit, "gb")) return count * 1'000'000'000;
  if (same_word(unit, "gib")) return count << 30;
  return std::nullopt;
}

}  // namespace

bool is_gpu(const DeviceInfo& device) {
  return device.kind != "cpu";
}

bool suits(std::string_view wish, const DeviceInfo& device) {
  if (wish == "any" || wish == device.kind) return true;
  if (!is_gpu(device)) return false;
  if (wish == "gpu") return true;
  if (const auto bytes = size_of(wish))
    return std::max(device.memory_total_bytes, device.memory_bytes) >= *bytes;
  return same_word(wish, device.kind);
}

}  // namespace overwinter
