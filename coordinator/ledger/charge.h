// Charge: exact cost of use, before any rounding (INTERFACE §6).
#pragma once

#include <compare>
#include <cstdint>

#include "common/base/money.h"
#include "common/base/time.h"

namespace overwinter::ledger {

__extension__ typedef __int128 Int128;

// In units of (micro-units of currency an hour) x millisecond x millionth of a device. One
// micro-unit of money is 3.6e6 x 1e6 of them. Never negative in a slice; sums stay far below 2^127.
struct Charge {
  Int128 units = 0;
  friend constexpr auto operator<=>(const Charge&, const Charge&) = default;
  friend constexpr Charge operator+(Charge a, Charge b) { return {a.units + b.units}; }
  friend constexpr Charge operator-(Charge a, Charge b) { return {a.units - b.units}; }
  Charge& operator+=(Charge other) {
    units += other.units;
    return *this;
  }
  Charge& operator-=(Charge other) {
    units -= other.units;
    return *this;
  }
};

inline constexpr Int128 kUnitsPerMicro = Int128{3'600'000} * 1'000'000;

[[nodiscard]] constexpr Charge charge_for(Money per_hour, Duration used, std::uint32_t share_ppm) {
  return {Int128{per_hour.micros} * used.count() * share_ppm};
}
[[nodiscard]] constexpr Charge charge_of(Money amount) {
  return {Int128{amount.micros} * kUnitsPerMicro};
}
// Half away from zero to whole micro-units. Round sums, never parts: line n of a list shows
// rounded(total_n) - rounded(total_{n-1}), so that every list sums to its total.
[[nodiscard]] constexpr Money rounded(Charge charge) {
  const Int128 half = kUnitsPerMicro / 2;
  const Int128 q = charge.units >= 0 ? (charge.units + half) / kUnitsPerMicro
                                     : -((-charge.units + half) / kUnitsPerMicro);
  return {static_cast<std::int64_t>(q)};
}

}  // namespace overwinter::ledger
