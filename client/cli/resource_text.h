// What people read of jobs and workers, as pure functions of their resources.
#pragma once

#include <string>

#include "common/base/time.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::cli {

// Kind, memory used now / reserved / budget, and threads of each device of a worker.
[[nodiscard]] std::string devices_text(const v1::Worker& worker);
// Of one of its devices, what is used and reserved of it.
[[nodiscard]] std::string device_use_text(const v1::Device& device, const v1::DeviceUse& use);
// Of a running job that has done nothing for much longer than it usually takes, and for a minute at
// least (clocks of two machines differ): "no progress for 4m 0s (usually every 20.0s)". Else empty.
[[nodiscard]] std::string no_progress_text(const v1::Job& job, Time now);

}  // namespace overwinter::cli
