// GET /api/v1/spend: the overview's chart of the last 24 hours.
#pragma once

#include "coordinator/dashboard/job_routes.h"

namespace overwinter::dashboard {

// {"from" (a whole hour), "currency", "complete", "hours": [{"useful", "redone", "idle"}]}, 24 of
// them, in micro-units; the last is the hour that is. Rounded cumulatively: the hours of a kind sum
// to its rounded total. Of machines where the caller may see that, else of its jobs without idle.
[[nodiscard]] Response spend_by_hour(const Ask& ask);

}  // namespace overwinter::dashboard
