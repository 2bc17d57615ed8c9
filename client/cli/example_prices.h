// The example price book that `up` loads. The same text ships as deploy/examples/prices.yaml; a
// test compares them.
#pragma once

#include <string_view>

namespace overwinter::cli {

inline constexpr std::string_view kExamplePrices =
    R"(# An example price book: replace the figures by what your machines cost you.
# `overwinter prices set FILE` loads it. The latest `from` that has come applies.
# `minimum: 60s` in an entry: a machine removed sooner after it joined is charged for that long.
currency: USD
prices:
  - { from: 2026-01-01, device: cpu, supplier: any, spot: false, per_hour: 0.36 }
  - { from: 2026-01-01, device: cpu, supplier: any, spot: true, per_hour: 0.12 }
)";

}  // namespace overwinter::cli
