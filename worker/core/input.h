// What arrives at a worker's core: the coordinator's orders, what its executors say, the stream's
// state. Plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/domain/gang.h"
#include "common/domain/ids.h"
#include "common/domain/unit_ranges.h"
#include "worker/core/moment.h"

namespace overwinter::worker {

// Opaque to the core; never changed once made. Null in simulations.
using SharedBytes = std::shared_ptr<const std::string>;

// ---- the coordinator
// ------------------------------------------------------------------------------

struct OfferSeat {
  SeatKey seat;
  DeviceIndex device = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  Duration funded_for{0};  // from the seat's begin, the time to stop included
  Duration stop_time{0};
  std::string job;                         // projects/P/jobs/J, for logs
  std::string capability;                  // for the artifact service
  SharedBytes spec;                        // overwinter.v1.JobSpec
  SharedBytes plan;                        // overwinter.v1.Plan
  bool gang = false;                       // it is prepared, and waits for the launch
  std::optional<std::uint64_t> from_step;  // of a gang: the checkpoint to go on from
};
struct FundSeat {
  SeatKey seat;
  Duration funded_for{0};  // the new total, from the seat's begin; a smaller one changes nothing
  std::string capability;  // empty: the old one stays good
};
struct HandOutUnits {
  SeatKey seat;
  UnitRanges units;
};
struct ReclaimUnits {  // need not be finished: another seat has done them or will
  SeatKey seat;
  UnitRanges units;
};
struct StopSeat {
  SeatKey seat;
  std::string reason;
  bool at_once = false;  // nothing is left to save
};
struct LaunchGang {                 // all members are prepared
  SeatKey seat;                     // the one of them that this worker holds
  std::vector<GangMember> members;  // in the order of ranks; the first one's worker leads
  std::string token;                // opens the peers' ports, once
};
struct Acknowledge {  // reports up to this number are durable over there
  std::uint64_t report = 0;
};
struct Welcome {  // the answer to Hello
  std::uint64_t acknowledged = 0;
  std::vector<FundSeat> keep;
  std::vector<SeatKey> drop;  // unknown there: end them, report nothing of them
  std::vector<OfferSeat> start;
  Generation generation;
  Duration heartbeat_every{1000};
};

// ---- the stream
// -----------------------------------------------------------------------------------

struct StreamConnected {};
struct StreamLost {};

// ---- executors (worker/runtime). Each started unit is answered exactly once.
// -------------------------

struct SeatReady {  // memory is reserved, inputs can be read
  SeatKey seat;
  std::uint32_t pipeline_units = 1;  // the most it wants to have started at once
};
struct SeatRefused {  // it could not begin; nothing is held for it
  SeatKey seat;
  std::string message;
};
struct UnitsDelivered {  // landed, already done by another (repeated), or no longer wanted (stale)
  SeatKey seat;
  UnitRanges units;
};
struct UnitsCompleted {  // of a workload without a result: done by the worker's word
  SeatKey seat;
  UnitRanges units;
};
struct UnitsFailed {
  SeatKey seat;
  UnitRanges units;
  std::string message;
};
struct UnitsAbandoned {  // given up, on an AbandonUnits or a WindDownSeat
  SeatKey seat;
  UnitRanges units;
};
struct SeatFailed {  // the seat as a whole can do no more
  SeatKey seat;
  std::string message;
};
struct GangSeatUp {  // answer to LaunchSeat: the seat's rank is up
  SeatKey seat;
};
// Everything that a LaunchSeat started is over; exactly once for each.
enum class GangOutcome : std::uint8_t {
  kCompleted = 1,  // the job ran to its end
  kStopped = 2,    // as it was asked, at a good place
  kFailed = 3,     // by itself
  kPeerLost = 4,   // because another member had ended
};
struct GangSeatExited {
  SeatKey seat;
  GangOutcome outcome = GangOutcome::kCompleted;
  SeatExit exit{};
  std::string message;
};
struct GangLaunchFailed {  // GangSeatExited follows
  SeatKey seat;
  WorkerId unreachable;  // whose peer port did not answer; none: something else
  std::string message;
};
struct SeatProgressed {
  SeatKey seat;
  std::uint64_t step = 0;
  std::uint64_t activity = 0;  // counts steps, checkpoints and output
};
struct SeatMeasured {
  SeatKey seat;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t memory_used_bytes = 0;  // now
};
struct SeatClosed {  // answer to EndSeat: everything it held is given back
  SeatKey seat;
  std::uint64_t memory_peak_bytes = 0;
};

// ---- the daemon
// -----------------------------------------------------------------------------------

struct TimerFired {};
struct ShutDown {  // SIGTERM: hand everything back; at the latest `within` from now
  Duration within{0};
};

using Input = std::variant<OfferSeat, FundSeat, HandOutUnits, ReclaimUnits, StopSeat, Acknowledge,
                           Welcome, StreamConnected, StreamLost, SeatReady, SeatRefused,
                           UnitsDelivered, UnitsCompleted, UnitsFailed, UnitsAbandoned, SeatFailed,
                           SeatMeasured, SeatClosed, TimerFired, ShutDown, LaunchGang, GangSeatUp,
                           GangSeatExited, GangLaunchFailed, SeatProgressed>;

}  // namespace overwinter::worker
