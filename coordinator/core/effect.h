// Effects: what the shell must do. Each follows from the state, can be derived again after a
// restart, and is idempotent by its key. All leave after their turn's commit, except the soft ones
// named below.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "coordinator/core/fact.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {

// Answers a request. On success exactly one of the ids is set where the request made something.
struct Reply {
  ReplyId reply;
  Status status;
  JobId job;
  WorkerId worker;
  TokenId token;
  JoinFileId join_file;
  bool repeated = false;  // the request_id was known: this is the job of the first time
};

// Orders to one incarnation of a worker; dropped by the shell when another one is connected.
struct OfferSeat {
  SeatKey seat;
  WorkerId worker;
  Incarnation incarnation;
  DeviceIndex device = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  Duration funded_for{0};
  Duration stop_time{0};
  std::string project;
  std::string job_name;  // last part of the resource name, for the worker's log
  Landing landing = Landing::kArtifact;
  bool gang = false;
  std::optional<std::uint64_t> from_step;  // of a gang: the checkpoint to go on from
  SharedBytes spec;
  SharedBytes plan;
};
struct FundSeat {
  SeatKey seat;
  WorkerId worker;
  Incarnation incarnation;
  Duration funded_for{0};
};
struct HandOutUnits {  // soft: need not wait for a commit
  SeatKey seat;
  WorkerId worker;
  Incarnation incarnation;
  UnitRanges units;
};
struct ReclaimUnits {  // soft: the seat need not finish these, another has or will
  SeatKey seat;
  WorkerId worker;
  Incarnation incarnation;
  UnitRanges units;
};
struct StopSeat {
  SeatKey seat;
  WorkerId worker;
  Incarnation incarnation;
  Cause cause = Cause::kNone;
  bool at_once = false;  // a gang that has lost a member: nothing is left to save
};
// To the workers of all members: start the ranks. The first member's runs mpirun. Made once an
// attempt; after a restart again when all its seats say that they are prepared.
struct LaunchGang {
  JobId job;
  AttemptNumber attempt = 0;
  std::vector<GangMember> members;        // in the order of ranks
  std::vector<Incarnation> incarnations;  // of their workers
};
struct Welcome {
  WorkerId worker;
  Incarnation incarnation;
  std::uint64_t acknowledged = 0;
  std::vector<FundSeat> keep;
  std::vector<SeatKey> drop;  // unknown or fenced: end them, report nothing
  std::vector<OfferSeat> start;
};
struct AcknowledgeReports {
  WorkerId worker;
  Incarnation incarnation;
  std::uint64_t number = 0;
};
struct RefuseWorker {  // end its stream with this status (older incarnation, removed, two daemons
                       // with one id)
  WorkerId worker;
  Incarnation incarnation;
  Status status;
};

// The artifact store's part.
struct PrepareResult {  // before the job's first seat is offered: create C, make the sketches
  JobId job;
  std::string project;
  SharedBytes spec;
  SharedBytes plan;
};
struct FinishResult {  // all units landed: seal it
  JobId job;
};
struct DropResult {  // cancelled or failed: its tiles are of no use
  JobId job;
};

// A waiting job should be planned again on the workers known now.
struct Replan {
  JobId job;
};
// Ends every open stream and call of this principal at once.
struct EndPrincipal {
  PrincipalKind kind = PrincipalKind::kPerson;
  std::uint64_t id = 0;
};

using Effect = std::variant<Reply, OfferSeat, FundSeat, HandOutUnits, ReclaimUnits, StopSeat,
                            Welcome, AcknowledgeReports, RefuseWorker, PrepareResult, FinishResult,
                            DropResult, Replan, EndPrincipal, LaunchGang>;

// True for effects that may leave before their turn is committed.
[[nodiscard]] inline bool is_soft(const Effect& effect) {
  return std::holds_alternative<HandOutUnits>(effect) ||
         std::holds_alternative<ReclaimUnits>(effect) ||
         (planted(Bug::kReportAcknowledgedEarly) &&
          std::holds_alternative<AcknowledgeReports>(effect));
}

}  // namespace overwinter::core
