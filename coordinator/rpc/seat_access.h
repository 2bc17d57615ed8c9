// What a worker may do for a seat: by a capability for its attempt, and while it holds the seat.
#pragma once

#include <string>

#include "common/security/capability.h"
#include "coordinator/rpc/service_context.h"

namespace overwinter::rpc {

// A capability of this worker for the seat's job and attempt. kPermissionDenied: for another.
[[nodiscard]] Result<Capability> seat_capability(const CapabilityVerifier& verifier,
                                                 const std::string& text, WorkerId worker,
                                                 const SeatKey& seat, Time now);
// The job of a seat that the worker holds now; null: it does not.
[[nodiscard]] runtime::JobViewPtr job_of_held_seat(const runtime::Views& views, WorkerId worker,
                                                   const SeatKey& seat);

}  // namespace overwinter::rpc
