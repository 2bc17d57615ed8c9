// PriceBook: what a device costs an hour, by date (INTERFACE §6). Pure values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/money.h"
#include "common/base/time.h"

namespace overwinter::ledger {

struct PriceEntry {
  Time from;
  std::string device;    // DeviceInfo::kind
  std::string supplier;  // "any" or a name (a worker's label supplier=…)
  bool spot = false;
  Money per_hour;
  // A machine with such a device that is removed earlier after joining is charged to here; 0: none.
  Duration minimum{0};
  friend bool operator==(const PriceEntry&, const PriceEntry&) = default;
};

struct PriceBook {
  std::string currency = "USD";
  std::vector<PriceEntry> entries;  // any order

  // The entry in force: same device and spot, its supplier else "any", the latest `from` that has
  // come.
  [[nodiscard]] std::optional<PriceEntry> find(Time at, std::string_view device,
                                               std::string_view supplier, bool spot) const;
  // The next instant after `at` at which any price may change; absent: never.
  [[nodiscard]] std::optional<Time> next_change(Time at) const;
  friend bool operator==(const PriceBook&, const PriceBook&) = default;
};

}  // namespace overwinter::ledger
