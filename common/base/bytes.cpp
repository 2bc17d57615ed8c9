#include "common/base/bytes.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace overwinter {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr Unit kUnits[] = {
    {"B", 1},
    {"KiB", kKiB},
    {"MiB", kMiB},
    {"GiB", kGiB},
    {"TiB", 1024 * kGiB},
    {"kB", 1000},
    {"KB", 1000},
    {"MB", 1'000'000},
    {"GB", 1'000'000'000},
    {"TB", 1'000'000'000'000},
};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < kKiB) return fmt::format("{} B", bytes);
  const auto value = static_cast<double>(bytes);
  // The next unit from where rounding would write 1024.0 of the smaller one.
  const double kib = value / static_cast<double>(kKiB);
  if (kib < 1023.95) return fmt::format("{:.1f} KiB", kib);
  const double mib = value / static_cast<double>(kMiB);
  if (mib < 1023.95) return fmt::format("{:.1f} MiB", mib);
  return fmt::format("{:.1f} GiB", value / static_cast<double>(kGiB));
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto refuse = [&] {
    return fail(Code::kInvalidArgument,
                "\"" + std::string(text.substr(0, 40)) +
                    "\" is not a size; write for example 64MiB, 4GiB or 200MB");
  };
  double number = 0;
  const auto [end, parsed] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (parsed != std::errc() || number < 0 || !std::isfinite(number)) return refuse();
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    const double bytes = number * static_cast<double>(known.bytes);
    if (bytes > 9.0e18) return refuse();
    return static_cast<std::uint64_t>(std::llround(bytes));
  }
  return refuse();
}

std::string to_hex(std::span<const std::uint8_t> data) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(data.size() * 2);
  for (const std::uint8_t byte : data) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Result<Digest> parse_digest(std::string_view hex) {
  Digest digest;
  bool good = hex.size() == digest.bytes.size() * 2;
  for (std::size_t i = 0; good && i < digest.bytes.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    if (good) digest.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  if (!good) {
    return fail(Code::kInvalidArgument, "a digest is 64 hexadecimal digits", "digest");
  }
  return digest;
}

}  // namespace overwinter
