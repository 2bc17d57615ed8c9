// A price book file (INTERFACE §6): YAML → overwinter.v1.PriceBook. Hostile-input safe;
// thread-safe.
//
//   currency: USD
//   prices:
//     - { from: 2026-11-01, device: cpu, supplier: any, spot: false, per_hour: 0.36, minimum: 60s }
#pragma once

#include <string_view>

#include "common/base/result.h"
#include "overwinter/v1/billing.pb.h"

namespace overwinter::spec {

// At most 1 MiB and 10,000 prices. `supplier` (any), `spot` (false) and `minimum` (none) may be
// left out. The reply's `yaml` is the text itself. INVALID_ARGUMENT names the line and the field.
[[nodiscard]] Result<v1::PriceBook> parse_price_book(std::string_view text);

}  // namespace overwinter::spec
