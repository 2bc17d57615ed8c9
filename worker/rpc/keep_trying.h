// A transfer that is tried again while the coordinator cannot be reached or is full.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::worker {

struct Retrying {
  Duration first_pause{100};
  Duration longest_pause{5000};
  std::uint64_t seed = 1;  // of the jitter
};

// Until it succeeds, fails for good, or is stopped (CANCELLED). What a coordinator that is up
// refuses is tried a few times: a capability may be renewed in between.
[[nodiscard]] Status keep_trying(const Retrying& how, const std::stop_token& stop,
                                 const std::function<Status()>& attempt);

}  // namespace overwinter::worker
