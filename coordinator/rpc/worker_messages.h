// Messages of the workers' stream ↔ events and effects. What arrives is checked here: a message
// that makes no sense is INVALID_ARGUMENT with the field, and ends the stream.
#pragma once

#include <string>

#include "common/base/result.h"
#include "coordinator/core/effect.h"
#include "coordinator/core/event.h"
#include "overwinter/v1/worker.pb.h"

namespace overwinter::rpc {

// Of one stream: who speaks, in which incarnation (none before Hello).
struct Speaker {
  WorkerId worker;
  Incarnation incarnation;
};

// `coordinator_host`: this machine's host_id.
[[nodiscard]] Result<core::WorkerHello> hello_event(WorkerId worker, const v1::Hello& hello,
                                                    const std::string& coordinator_host);
// A heartbeat or a report of a stream that has said Hello.
[[nodiscard]] Result<core::Event> event_of(const Speaker& speaker,
                                           const v1::WorkerMessage& message);

[[nodiscard]] v1::OfferSeat to_message(const core::OfferSeat& effect, std::string capability);
[[nodiscard]] v1::FundSeat to_message(const core::FundSeat& effect, std::string capability);
[[nodiscard]] v1::HandOutUnits to_message(const core::HandOutUnits& effect);
[[nodiscard]] v1::ReclaimUnits to_message(const core::ReclaimUnits& effect);
[[nodiscard]] v1::StopSeat to_message(const core::StopSeat& effect);
// For the worker of the `member`-th.
[[nodiscard]] v1::LaunchGang to_message(const core::LaunchGang& effect, std::size_t member,
                                        const std::string& token);

// Programs at most one minor version apart work together. FAILED_PRECONDITION with both versions
// and what to do.
Status check_version(const std::string& worker_version);

}  // namespace overwinter::rpc
