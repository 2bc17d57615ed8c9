// Money: whole micro-units of the price book's one currency. Exact; never a float.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter {

struct Money {
  std::int64_t micros = 0;

  friend constexpr auto operator<=>(const Money&, const Money&) = default;
  friend constexpr Money operator+(Money a, Money b) { return {a.micros + b.micros}; }
  friend constexpr Money operator-(Money a, Money b) { return {a.micros - b.micros}; }
};

// "0.020300": all six digits when they matter, at least two: 0.50, 12.00, 0.0203.
[[nodiscard]] std::string format_money(Money amount);
// "0.50", "12", "1.89"; at most six decimals, not negative, at most 9,000,000,000.
[[nodiscard]] Result<Money> parse_money(std::string_view text);

}  // namespace overwinter
