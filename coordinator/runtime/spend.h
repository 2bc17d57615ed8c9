// What a cluster or a project spent, hour by hour: from closed slices (the store) and open ones
// (the views), each spread evenly over its time.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/ledger/charge.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"

namespace overwinter::runtime {

inline constexpr std::size_t kSpendHours = 24;

struct SpendHour {
  ledger::Charge useful;   // of jobs, but for:
  ledger::Charge waiting;  // seats of gangs until all of their ranks were up
  ledger::Charge redone;   // work of ended attempts that was lost, or done again
  ledger::Charge idle;     // of machines that nobody used, lost ones too
  friend bool operator==(const SpendHour&, const SpendHour&) = default;
};
struct Spend {
  Time from{};                   // a whole hour; the last of the hours is the one that is
  std::vector<SpendHour> hours;  // kSpendHours
  bool complete = true;          // false: there was more than is read, the oldest is missing
};

// With `machines` all that machines cost, else of jobs alone: of a project, or (empty) of all. An
// attempt waits first, and what was redone is what it did last, as far as the job remembers its
// attempts. Reads the disk: on the pool.
[[nodiscard]] Result<Spend> spend_by_hour(const Views& views, store::Store& store, bool machines,
                                          const std::string& project, Time now);

}  // namespace overwinter::runtime
