// What a program of the user's was seen to need, for the plan of its next run.
#pragma once

#include <cstdint>

#include "coordinator/store/history.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {

// The peak of a device in the newest of the project's last kJobsLookedAt jobs that have succeeded
// with the same command, launcher and device wish; 0: there is none, or the history cannot be read.
// On the pool: it reads the store.
inline constexpr std::size_t kJobsLookedAt = 200;
[[nodiscard]] std::uint64_t measured_peak(store::History& history, const v1::JobSpec& spec);

}  // namespace overwinter::runtime
