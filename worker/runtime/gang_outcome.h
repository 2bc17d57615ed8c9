// What the end of a gang on one host says of its seats here.
#pragma once

#include "worker/core/input.h"
#include "worker/runtime/gang_events.h"
#include "worker/runtime/gang_work.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

[[nodiscard]] GangOutcome outcome_of(const GangFault& fault);
// Message and exit of a fault; of a gang without one (kNone) the outcome is kCompleted where every
// rank of this host said that it was done, else kPeerLost.
[[nodiscard]] GangSeatExited seat_exit_of(const GangEnded& ended);

// Tells that nothing runs here any more. What one that came to its end or failed has said is at the
// coordinator before: why it failed stands there. One that was stopped or lost a peer is told at
// once, for others wait for that word.
void tell_over(const GangSeatExited& how, JobLog& log, GangWorkObserver& observer);

}  // namespace overwinter::worker
