// A job's way to the coordinator: planned, its inputs uploaded, submitted.
#pragma once

#include <string>

#include "client/cli/globals.h"

namespace overwinter::cli {

[[nodiscard]] Result<v1::PlanJobResponse> plan_job(client::Client& client, const v1::JobSpec& spec);

// Says what it will need and what the coordinator warns of. FAILED_PRECONDITION: nothing fits; then
// nothing was uploaded. `request_id`: empty: one of its own.
[[nodiscard]] Result<v1::Job> send_job(const Globals& globals, client::Client& client,
                                       v1::JobSpec spec, const std::string& request_id);

}  // namespace overwinter::cli
