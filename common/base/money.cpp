#include "common/base/money.h"

#include <fmt/format.h>

namespace overwinter {
namespace {

constexpr std::int64_t kMicros = 1'000'000;
constexpr std::int64_t kUnitsMax = 9'000'000'000;
constexpr std::size_t kDecimals = 6;

}  // namespace

std::string format_money(Money amount) {
  const bool negative = amount.micros < 0;
  const auto magnitude = negative ? 0ULL - static_cast<std::uint64_t>(amount.micros)
                                  : static_cast<std::uint64_t>(amount.micros);
  std::string text =
      fmt::format("{}{}.{:06}", negative ? "-" : "", magnitude / kMicros, magnitude % kMicros);
  std::size_t zeros = 0;
  while (zeros < kDecimals - 2 && text[text.size() - 1 - zeros] == '0') ++zeros;
  text.resize(text.size() - zeros);
  return text;
}

Result<Money> parse_money(std::string_view text) {
  const auto refuse = [&] {
    return fail(
        Code::kInvalidArgument,
        "\"" + std::string(text.substr(0, 40)) +
            "\" is not an amount; write for example 0.50 (at most six decimals, not negative)");
  };
  const std::size_t dot = text.find('.');
  const std::string_view whole = text.substr(0, dot);
  std::string_view decimals =
      dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  if (whole.empty() || whole.size() > 10 || decimals.size() > kDecimals) return refuse();
  if (dot != std::string_view::npos && decimals.empty()) return refuse();
  std::int64_t micros = 0;
  for (const char c : whole) {
    if (c < '0' || c > '9') return refuse();
    micros = micros * 10 + (c - '0');
  }
  if (micros > kUnitsMax) return refuse();
  for (std::size_t i = 0; i < kDecimals; ++i) {
    const char c = i < decimals.size() ? decimals[i] : '0';
    if (c < '0' || c > '9') return refuse();
    micros = micros * 10 + (c - '0');
  }
  return Money{micros};
}

}  // namespace overwinter
