// What the end of a gang on one host says of its seats here.
#pragma once

#include "worker/core/input.h"
#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

[[nodiscard]] GangOutcome outcome_of(const GangFault& fault);
// Message and exit of a fault; of a gang without one (kNone) the outcome is kCompleted where every
// rank of this host said that it was done, else kPeerLost.
[[nodiscard]] GangSeatExited seat_exit_of(const GangEnded& ended);

}  // namespace overwinter::worker
