// What the routes below a job answer, and the list of jobs. Each reads the disk: on the pool.
#pragma once

#include <span>
#include <string_view>

#include "common/domain/principal.h"
#include "coordinator/dashboard/http.h"
#include "coordinator/dashboard/job_texts.h"
#include "coordinator/dashboard/sources.h"

namespace overwinter::dashboard {

// A request that was let in. The parts are those of its path: {"api", "v1", "projects", P, …}.
struct Ask {
  const Sources& sources;
  JobTexts& texts;
  std::span<const std::string_view> parts;
  std::string_view query;
  const Principal& caller;
  Time now;
};

[[nodiscard]] Response list_jobs(const Ask& ask);
[[nodiscard]] Response get_job(const Ask& ask);
[[nodiscard]] Response explain_job(const Ask& ask);
[[nodiscard]] Response job_timeline(const Ask& ask);
[[nodiscard]] Response job_series(const Ask& ask);
[[nodiscard]] Response job_checkpoints(const Ask& ask);
[[nodiscard]] Response job_logs(const Ask& ask);
[[nodiscard]] Response search_logs(const Ask& ask);

}  // namespace overwinter::dashboard
