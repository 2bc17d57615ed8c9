// Why a job waits, stands or has ended, from the views and by the same rules that place seats.
#pragma once

#include "coordinator/runtime/views.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {

// Each worker with the number that rules it out, the smallest change that helps, and the commands
// to go on.
[[nodiscard]] v1::ExplainJobResponse explain_job(const Views& views, const Principal& caller,
                                                 const JobView& job);

}  // namespace overwinter::runtime
