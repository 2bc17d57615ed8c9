// Events: what arrived. The shell translates the outside into these and stamps the principal; the
// core turns one event and the time into facts and effects (scheduler.h). Plain values, no
// behaviour.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/money.h"
#include "common/base/time.h"
#include "common/domain/demand.h"
#include "common/domain/device.h"
#include "common/domain/gang.h"
#include "common/domain/ids.h"
#include "common/domain/principal.h"
#include "common/domain/unit_ranges.h"
#include "coordinator/ledger/price_book.h"

namespace overwinter::core {

// Correlates a request with its Reply effect. Chosen by the shell, unique while it runs; 0: nobody
// waits.
using ReplyId = Id<struct ReplyTag>;
using Labels = std::map<std::string, std::string>;
// Bytes of a specification and of its plan (serialised protobuf). Shared, never changed.
using SharedBytes = std::shared_ptr<const std::string>;

// ---- people
// -------------------------------------------------------------------------------------------

// One way to run a job, as `plan` found it: what is demanded, and what a worker needs to run it
// that way.
struct Alternative {
  Demand demand;
  SharedBytes plan;  // overwinter.v1.Plan, opaque to the core
};

struct JobSubmitted {
  Principal by;
  ReplyId reply;
  std::string request_id;  // empty: none. The same id of the same project gives the same job
  std::string project;
  std::string display_name;
  std::string slug;  // of the display name; the resource name is this and five characters
  Labels labels;
  SharedBytes spec;  // overwinter.v1.JobSpec
  std::vector<Alternative>
      alternatives;  // best first, never empty; the first whose seats fit a known worker is taken
};

// A waiting job planned anew on today's workers (answer to the effect Replan).
struct JobReplanned {
  JobId job;
  std::vector<Alternative> alternatives;
};

enum class JobAction : std::uint8_t { kPause = 1, kResume = 2, kCancel = 3 };
struct JobActionRequested {
  Principal by;
  ReplyId reply;
  JobId job;
  JobAction action = JobAction::kPause;
  bool validate_only = false;  // answered as it would be, and nothing is done
};

struct JobUpdateRequested {
  Principal by;
  ReplyId reply;
  JobId job;
  std::optional<Money> cap;
  std::optional<Priority> priority;
  bool validate_only = false;
};

enum class WorkerAction : std::uint8_t { kDrain = 1, kResume = 2, kRemove = 3 };
struct WorkerActionRequested {
  Principal by;
  ReplyId reply;
  WorkerId worker;
  WorkerAction action = WorkerAction::kDrain;
};

struct ProjectCreateRequested {
  Principal by;
  ReplyId reply;
  std::string project;  // already validated: 1 to 63 of a-z 0-9 -
};

struct PriceBookSetRequested {
  Principal by;
  ReplyId reply;
  ledger::PriceBook book;
  std::string source;  // YAML text as it was given, kept for `prices get`
};

struct TokenCreateRequested {
  Principal by;
  ReplyId reply;
  Digest hash;  // SHA-256 of the token
  Role role = Role::kViewer;
  std::string project;  // empty: all
  std::string name;     // --for
  std::optional<Time> expires;
};

struct TokenRevokeRequested {
  Principal by;
  ReplyId reply;
  TokenId token;  // one of the two
  JoinFileId join_file;
};

struct JoinFileCreateRequested {
  Principal by;
  ReplyId reply;
  std::uint32_t uses = 1;
  Time expires;
  std::string name;                   // --for
  std::vector<std::string> projects;  // empty: all
  bool may_set_price = false;
};

// ---- workers
// ------------------------------------------------------------------------------------------

// A machine with a join file asks to become a worker.
struct WorkerJoinRequested {
  Principal by;  // kJoin, id = JoinFileId
  ReplyId reply;
  std::string name;  // wanted; made unique by the core ("box-2")
  Labels labels;
  std::vector<std::string> projects;  // narrows the join file's
  bool spot = false;
  std::optional<Money> price_per_hour;  // of the whole machine; instead of the book's
  Digest public_key;  // the same key joining twice is the same worker: no second use is counted
};

// What a worker says of one seat that it holds.
struct SeatStatus {
  SeatKey seat;
  Duration used{0};  // since the seat began, on the worker's monotonic clock
  UnitRanges held;   // handed to it, neither landed nor given back
  std::uint64_t memory_peak_bytes = 0;
  bool stopping = false;
  GangPhase phase = GangPhase::kNone;
  std::uint64_t step = 0;               // of a gang: the last step that its ranks finished
  std::uint64_t activity = 0;           // counts steps, checkpoints and output: tells a stall
  std::uint64_t memory_used_bytes = 0;  // now
};

struct WorkerHello {
  WorkerId worker;
  Incarnation incarnation;
  MachineInfo machine;
  std::vector<SeatStatus> seats;
  std::uint64_t last_report = 0;  // highest report number it has made in this incarnation
  // It last spoke to another generation of the store: what it holds and has not yet reported is of
  // that one, whatever its numbers.
  bool of_other_generation = false;
};

struct WorkerHeartbeat {
  WorkerId worker;
  Incarnation incarnation;
  std::vector<SeatStatus> seats;  // `held` is not filled here
};

struct WorkerDisconnected {
  WorkerId worker;
  Incarnation incarnation;
};

enum class SeatEnd : std::uint8_t {
  kFinished = 1,    // stopped as asked, or nothing left to do
  kFundsEnded = 2,  // funded_for ran out
  kRefused = 3,     // could not begin (memory, unknown workload)
  kFailed = 4,      // the work itself failed
  kLost = 5,        // said by the core alone: the worker is gone
  kLeaving = 6,     // the worker shuts down: as kFinished, and no seat goes there until its Hello
  kCompleted = 7,   // of a gang: its rank ran to the end of the job
  kPeerLost = 8,    // of a gang: it ended because another member had
};
struct SeatEnded {
  SeatKey seat;
  SeatEnd end = SeatEnd::kFinished;
  Duration used{0};
  std::uint64_t memory_peak_bytes = 0;
  std::string message;  // one sentence when refused or failed
  SeatExit exit{};      // of a gang's seat
};
// A gang's seat has its inputs and waits for the launch.
struct SeatPrepared {
  SeatKey seat;
};
// Of a gang: its rank is up.
struct SeatBegan {
  SeatKey seat;
};
// The launch as a whole could not be made (a port that does not answer): no failure of the job.
struct LaunchFailed {
  SeatKey seat;
  WorkerId unreachable;  // whose peer port did not answer; none: something else
  std::string message;   // names the two hosts and the port
};
// Units of a Landing::kReport workload. A worker never reports units of a kArtifact job done.
struct UnitsReported {
  SeatKey seat;
  UnitRanges units;
};
struct UnitsFailed {
  SeatKey seat;
  UnitRanges units;
  std::string message;
};
using Report =
    std::variant<SeatBegan, SeatEnded, UnitsReported, UnitsFailed, SeatPrepared, LaunchFailed>;

// Numbered 1, 2, … per incarnation; processed in order, once; acknowledged after the commit.
struct WorkerReported {
  WorkerId worker;
  Incarnation incarnation;
  std::uint64_t number = 0;
  Report report;
};

// Verified and durable in the artifact store: for Landing::kArtifact the only thing that makes
// units done.
struct UnitsLanded {
  SeatKey seat;  // that delivered them
  WorkerId worker;
  UnitRanges units;
};

// A unit's result failed its check: the worker is drained, the unit redone elsewhere.
struct UnitRejected {
  SeatKey seat;
  WorkerId worker;
  UnitNumber unit = 0;
  std::string message;
};

// A whole checkpoint of a job is durable and verified.
struct CheckpointStored {
  JobId job;
  AttemptNumber attempt = 0;
  std::uint64_t step = 0;
};

// The artifact store has no room for the job's result: its tiles would wait for ever, and be paid
// for.
struct ResultRefused {
  JobId job;
  std::string message;  // with the numbers
};

// ---- the shell itself
// ---------------------------------------------------------------------------------

// The store is open and replayed; the first event after every start. Deadlines start anew from
// here.
struct CoordinatorStarted {
  std::string cluster;  // first start only: its name
  std::uint64_t seed =
      0;  // first start only: from the system's random source; names derive from it
};

// A backup is about to be taken: what seats have used until now becomes durable.
struct UseKeptRequested {
  ReplyId reply;
};

// Once, offline, on a state that was brought back from a backup: its workers are away and its seats
// lost, as of the backup's last turn.
struct BackupRestored {
  std::uint64_t id = 0;    // of the generation that begins: no two restores have the same
  std::uint64_t turn = 0;  // the backup's last
  Time backup{};           // the time of that turn
  Time restored{};
};

struct TimerFired {};

// The loop stood still for this long (suspend, a stall): every deadline moves by it.
struct LoopStalled {
  Duration duration{0};
};

using Event =
    std::variant<JobSubmitted, JobReplanned, JobActionRequested, JobUpdateRequested,
                 WorkerActionRequested, ProjectCreateRequested, PriceBookSetRequested,
                 TokenCreateRequested, TokenRevokeRequested, JoinFileCreateRequested,
                 WorkerJoinRequested, WorkerHello, WorkerHeartbeat, WorkerDisconnected,
                 WorkerReported, UnitsLanded, UnitRejected, ResultRefused, CheckpointStored,
                 CoordinatorStarted, UseKeptRequested, BackupRestored, TimerFired, LoopStalled>;

}  // namespace overwinter::core
