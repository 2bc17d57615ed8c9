// The ids of the five words (ARCHITECTURE §1). Numbers are given by the core, start at 1 and are
// never reused.
#pragma once

#include <compare>
#include <cstdint>

#include "common/base/id.h"

namespace overwinter {

using JobId = Id<struct JobTag>;
using WorkerId = Id<struct WorkerTag>;
using TokenId = Id<struct TokenTag>;
using JoinFileId = Id<struct JoinFileTag>;
// New at each start of a worker daemon: chosen by the daemon, larger than its last one.
using Incarnation = Id<struct IncarnationTag>;
// A generation of the store (a restore starts a new one). Stands in every Welcome.
using Generation = Id<struct GenerationTag>;

// One try at running a job: 1, 2, … within the job.
using AttemptNumber = std::uint32_t;
using UnitNumber = std::uint64_t;
using DeviceIndex = std::uint32_t;

// A seat's name. `number` counts within the job over all attempts and is never reused.
struct SeatKey {
  JobId job;
  AttemptNumber attempt = 0;
  std::uint32_t number = 0;
  friend auto operator<=>(const SeatKey&, const SeatKey&) = default;
};

}  // namespace overwinter
