// What a worker's core wants done: orders to executors and messages to the coordinator, in this
// order.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "worker/core/input.h"

namespace overwinter::worker {

// ---- to executors
// ---------------------------------------------------------------------------------

// Reserve the seat's memory and open its inputs; answer SeatReady or SeatRefused.
struct BeginSeat {
  OfferSeat offer;
};
// Compute these and deliver them; answer each with UnitsDelivered, -Completed, -Failed or
// -Abandoned.
struct StartUnits {
  SeatKey seat;
  UnitRanges units;
};
// Give these up where that is still possible; each is still answered.
struct AbandonUnits {
  SeatKey seat;
  UnitRanges units;
};
// Of a gang: let its ranks write a checkpoint and end, all at the same step. Else:
// Begin no further unit. Finish and deliver what is being computed if it will be done in
// `within`; abandon the rest.
struct WindDownSeat {
  SeatKey seat;
  Duration within{0};
};
// Nothing is in work any more: free everything, answer SeatClosed.
struct EndSeat {
  SeatKey seat;
};
// Of a gang: start its rank. Answered by GangSeatUp and, once it is over, by GangSeatExited.
struct LaunchSeat {
  LaunchGang order;
};
// Of a gang: end its rank now, whatever it does. While it is being prepared: give that up, and
// answer SeatRefused.
struct KillSeat {
  SeatKey seat;
};
struct RenewCapability {
  SeatKey seat;
  std::string capability;
};

// ---- to the coordinator
// ---------------------------------------------------------------------------

struct SeatStatus {
  SeatKey seat;
  Duration used{0};
  UnitRanges held;  // not filled in heartbeats
  std::uint64_t memory_peak_bytes = 0;
  bool stopping = false;
  GangPhase phase = GangPhase::kNone;
  std::uint64_t step = 0;
  std::uint64_t activity = 0;
  std::uint64_t memory_used_bytes = 0;  // as last measured
};
struct SendHello {  // the first message of a stream
  Incarnation incarnation;
  std::vector<SeatStatus> seats;
  std::uint64_t last_report = 0;
  Generation generation;
};
struct SendHeartbeat {
  std::vector<SeatStatus> seats;
};

enum class SeatEnd : std::uint8_t {
  kFinished = 1,
  kFundsEnded = 2,
  kRefused = 3,
  kFailed = 4,
  kLeaving = 6,    // the worker shuts down
  kCompleted = 7,  // of a gang: its rank ran to the end of the job
  kPeerLost = 8,   // of a gang: another member had ended
};
struct SeatBegan {
  SeatKey seat;
};
struct SeatEnded {
  SeatKey seat;
  SeatEnd end = SeatEnd::kFinished;
  Duration used{
      0};  // from the seat's begin until everything was given back, at most what was funded
  std::uint64_t memory_peak_bytes = 0;
  std::string message;
  SeatExit exit{};
};
struct SeatPrepared {
  SeatKey seat;
};
struct LaunchFailedReport {
  SeatKey seat;
  WorkerId unreachable;
  std::string message;
};
struct UnitsReported {
  SeatKey seat;
  UnitRanges units;
};
struct UnitsFailedReport {
  SeatKey seat;
  UnitRanges units;
  std::string message;
};
struct SendReport {
  std::uint64_t number = 0;
  std::variant<SeatBegan, SeatEnded, UnitsReported, UnitsFailedReport, SeatPrepared,
               LaunchFailedReport>
      report;
};

// ---- to the daemon
// --------------------------------------------------------------------------------

// After ShutDown: every seat has ended and every report is acknowledged, or time is up.
struct ShutDownComplete {};

using Output =
    std::variant<BeginSeat, StartUnits, AbandonUnits, WindDownSeat, EndSeat, RenewCapability,
                 SendHello, SendHeartbeat, SendReport, ShutDownComplete, LaunchSeat, KillSeat>;

}  // namespace overwinter::worker
