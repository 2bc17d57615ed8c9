#include "coordinator/rpc/seat_access.h"

#include <algorithm>

namespace overwinter::rpc {

Result<Capability> seat_capability(const CapabilityVerifier& verifier, const std::string& text,
                                   WorkerId worker, const SeatKey& seat, Time now) {
  auto capability = verifier.verify(text, std::to_string(worker.value()), now);
  if (!capability) return capability;
  if (capability->job == std::to_string(seat.job.value()) && capability->attempt == seat.attempt) {
    return capability;
  }
  return fail(Code::kPermissionDenied, "this capability is not for that attempt", "capability");
}

runtime::JobViewPtr job_of_held_seat(const runtime::Views& views, WorkerId worker,
                                     const SeatKey& seat) {
  auto job = views.job(seat.job);
  const bool held = job && std::any_of(job->seats.begin(), job->seats.end(), [&](const auto& own) {
                      return own.seat == seat && own.worker == worker;
                    });
  return held ? job : nullptr;
}

}  // namespace overwinter::rpc
