// What happened to a job, and which worker had a seat of it when: from the store's history and, for
// what is still open, from the views.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "common/base/result.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/store.h"

namespace overwinter::dashboard {

inline constexpr std::size_t kStepsMax = 500;
inline constexpr std::size_t kSlicesMax = 20'000;
inline constexpr std::size_t kBarsMax = 2'000;

// {"asOf", "steps": [{"time", "state", "attempt", "reason"}], "bars": [{"worker", "attempt",
// "seat", "from", "to", "open", "charged"}], "complete"}. A bar is one seat from its first closed
// slice on; an open one ends at `asOf`. Amounts are micro-units, rounded cumulatively. `complete`
// is false when there are more slices, bars or steps than are read. Reads the disk: on the pool.
[[nodiscard]] Result<nlohmann::json> timeline_json(const runtime::Views& views, store::Store& store,
                                                   const runtime::JobView& job, Time now);

}  // namespace overwinter::dashboard
