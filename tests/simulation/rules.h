// The names of the rules. A row of the planted bugs says by which of them its bug must be caught.
#pragma once

namespace overwinter::simulation::rule {

// ---- work
inline constexpr const char* kUnitOnce = "a unit is done at most once";
inline constexpr const char* kUnitLanded = "a unit is done only when it landed";
inline constexpr const char* kUnitByHeldSeat = "a unit is done only by a seat that is held";
inline constexpr const char* kUnitsKept = "a unit that is not done is waiting or handed out";
inline constexpr const char* kAcknowledged = "no acknowledged job or report is lost";
inline constexpr const char* kRequestOnce = "one job a request id, while the job is kept";
inline constexpr const char* kTerminalFinal = "terminal is final, its bill too";
inline constexpr const char* kIdleHoldsNothing = "a job that does not run holds no seat";
inline constexpr const char* kStopDeadline = "a seat told to stop is gone after its deadline";
inline constexpr const char* kDerivedAgain = "what a lost effect was for is done after a restart";
inline constexpr const char* kEnds = "when faults stop, every job ends";

// ---- gangs
inline constexpr const char* kGangWhole = "a gang holds all its seats or none";
inline constexpr const char* kGangTogether =
    "a gang is on one host, or on one network at addresses of their own";
inline constexpr const char* kGangAttempts = "no seat of an attempt is left when the next begins";
inline constexpr const char* kGangProjects = "gangs of two projects never share a worker";
inline constexpr const char* kGangLaunch = "a gang is launched when all its seats are prepared";
inline constexpr const char* kGangCheckpoint = "a checkpoint that counts is durable, and newer";
inline constexpr const char* kGangStall = "a gang that stands still breaks off";
inline constexpr const char* kGangWaste = "what was done in vain is counted, to the last unit";
inline constexpr const char* kGangWait = "what a gang waited for is counted once, to the last unit";
inline constexpr const char* kGangRetries = "own failures end a job after its retries";
inline constexpr const char* kGangDone = "a gang is done when its ranks came to the end";

// ---- devices
inline constexpr const char* kDeviceBudget = "no device above its budget";
inline constexpr const char* kShares = "seat slices of a device never overlap beyond its shares";

// ---- money
inline constexpr const char* kCap = "no cap passed, coordinator down or not";
inline constexpr const char* kReserved = "what is reserved covers what is funded, exactly";
inline constexpr const char* kFunding = "no seat is billed above its funding";
inline constexpr const char* kBill = "bills equal the seats' use";
inline constexpr const char* kSlices = "slices of a seat do not overlap";
inline constexpr const char* kPriceCut = "no slice crosses a change of price";
inline constexpr const char* kMonthCut = "no slice crosses the end of a month";
inline constexpr const char* kMachines = "jobs + idle + lost = machines";

// ---- workers
inline constexpr const char* kReportsInOrder = "reports are processed once, in order";
inline constexpr const char* kOldIncarnation = "what an old incarnation says is ignored";
inline constexpr const char* kGrace = "a worker that returns in time is not lost";
inline constexpr const char* kWelcome = "Welcome drops every seat that the core does not hold";

// ---- the log
inline constexpr const char* kReplay = "state = replay of facts";
inline constexpr const char* kSameTrace = "same seed, same trace";

}  // namespace overwinter::simulation::rule
