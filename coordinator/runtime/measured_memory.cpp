#include "coordinator/runtime/measured_memory.h"

#include <algorithm>

#include "common/base/log.h"

namespace overwinter::runtime {
namespace {

bool same_program(const v1::JobSpec& a, const v1::JobSpec& b) {
  return a.has_exec() && b.has_exec() && a.exec().shell() == b.exec().shell() &&
         std::ranges::equal(a.exec().argv(), b.exec().argv()) &&
         a.exec().launcher() == b.exec().launcher() && a.workers().device() == b.workers().device();
}

}  // namespace

std::uint64_t measured_peak(store::History& history, const v1::JobSpec& spec) {
  store::JobQuery query;
  query.project = spec.project();
  query.state = core::JobState::kSucceeded;
  query.max = kJobsLookedAt;
  const auto jobs = history.jobs(query);
  if (!jobs) {
    log_warning("earlier jobs cannot be read: {}", jobs.error().message);
    return 0;
  }
  for (const store::PastJob& past : *jobs) {
    v1::JobSpec earlier;
    if (past.job.memory_peak_bytes == 0 || !past.job.spec ||
        !earlier.ParseFromString(*past.job.spec))
      continue;
    if (same_program(spec, earlier)) return past.job.memory_peak_bytes;
  }
  return 0;
}

}  // namespace overwinter::runtime
