// Bugs that a test-only build plants into core, policy and ledger, one at a time, to show that the
// simulation finds them (TRUST §5). Without OVERWINTER_PLANTED_BUGS, planted() is false at compile
// time and costs nothing.
#pragma once

#include <cstdint>

namespace overwinter::core {

// Behind each: the invariant of the simulation that must catch it.
enum class Bug : std::uint8_t {
  kNone = 0,
  kAttemptCheckDropped,      // a unit is done only by a seat that is held now
  kDoubleCharge,             // bills equal the seats' use
  kReleaseForgotten,         // a seat told to stop is gone after its deadline
  kEffectNotDerivedAgain,    // what a lost effect was for is done after a restart
  kReportAcknowledgedEarly,  // no acknowledged report is lost: acknowledged <= processed in the
                             // committed state
  kGracePeriodSkipped,       // a coordinator restart ends no seat of a worker that returns in time
  kUnitDoneTwice,            // a unit is done at most once
  kIncarnationCheckDropped,  // what an old incarnation says is ignored
  kFundingAboveCap,          // charged + reserved <= cap
  kSeatOverDeviceMemory,     // no device above its budget
  kBillMovedAfterTerminal,   // a terminal job's bill never moves
  kStopDeadlineSkipped,      // a seat told to stop is gone after its deadline
  kIdempotenceIgnored,       // one job a request id
  kPriceCutSkipped,          // no slice crosses a change of price
  kMachineChargeAtRemovalSkipped,  // machines cost from joining until removed
  kFencedSeatKept,                 // Welcome drops every seat that the core does not hold
  kUnitsOfLostSeatForgotten,       // a unit that is not done is waiting or handed out
  kUsedBeyondFunding,              // no seat is billed above its funding
  kMonthCutSkipped,                // no slice crosses the end of a month
  kOldReportProcessedAgain,        // reports are processed once, in order
  kSharesAboveOne,                 // shares of a device sum to <= 1,000,000
  kPausedJobHoldsSeat,             // a job that is not starting, running or stopping holds no seat
  kGangHalfPlaced,                 // a gang holds all its seats or none, between min and max
  kGangsOfProjectsMixed,           // gangs of two projects never share a worker
  kGangLaunchedUnprepared,         // a gang is launched when all its seats are prepared
  kGangStallIgnored,               // a gang without progress breaks off within its stall_timeout
  kGangCheckpointOfNobody,         // a checkpoint is of an attempt that was made
  kGangLossIgnored,                // a gang that lost a member breaks off
  kGangWasteForgotten,             // what an attempt did in vain is counted
  kGangRetriesNotCounted,          // its own failures end a job after `retries`
  kGangAttemptsOverlap,            // no seat of an attempt is left when the next one begins
  kGangWaitIsWasteToo,             // what a gang waited for is counted once
};

#ifdef OVERWINTER_PLANTED_BUGS
// Chosen by the simulation, one at a time. Defined in planted_bug.cpp.
extern Bug planted_bug;
[[nodiscard]] inline bool planted(Bug bug) {
  return planted_bug == bug;
}
#else
[[nodiscard]] constexpr bool planted(Bug) {
  return false;
}
#endif

}  // namespace overwinter::core
