#include "worker/runtime/gang_outcome.h"

namespace overwinter::worker {

GangOutcome outcome_of(const GangFault& fault) {
  switch (fault.kind) {
    case GangFaultKind::kHostLost:
    case GangFaultKind::kUnreachable:
      return GangOutcome::kPeerLost;
    case GangFaultKind::kRankLost:
      // How it ended is known to whoever started it.
      return fault.signal || fault.exit_code ? GangOutcome::kFailed : GangOutcome::kPeerLost;
    case GangFaultKind::kNone:
    case GangFaultKind::kTaskFailed:
    case GangFaultKind::kRankFrozen:
    case GangFaultKind::kStalled:
    case GangFaultKind::kNotReady:
    case GangFaultKind::kLauncherKilled:
    case GangFaultKind::kRankKilled:
    case GangFaultKind::kLauncherFailed:
    case GangFaultKind::kCannotStart:
      break;
  }
  return GangOutcome::kFailed;
}

GangSeatExited seat_exit_of(const GangEnded& ended) {
  GangSeatExited how;
  how.message = ended.fault.message;
  how.exit.rank = ended.fault.rank;
  how.exit.step = ended.fault.step;
  how.exit.signal = ended.fault.signal.value_or(0);
  how.exit.exit_code = ended.fault.exit_code.value_or(0);
  // The same numbers give the same one that is none.
  how.exit.repeats = !ended.fault.tensor.empty();
  how.outcome = ended.fault.kind != GangFaultKind::kNone ? outcome_of(ended.fault)
                : ended.clean                            ? GangOutcome::kCompleted
                                                         : GangOutcome::kPeerLost;
  return how;
}

void tell_over(const GangSeatExited& how, JobLog& log, GangWorkObserver& observer) {
  if (how.outcome == GangOutcome::kCompleted || how.outcome == GangOutcome::kFailed)
    log.flush(observer.access().seat, kLastWordsWithin);
  observer.over(how);
}

}  // namespace overwinter::worker
