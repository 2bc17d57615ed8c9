// Facts: what is now true, in the past tense. Durable; replay applies them in order through
// evolve() and decides nothing. Field order and meaning are bound to proto/overwinter/v1/fact.proto
// (coordinator/wire).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/event.h"
#include "coordinator/ledger/charge.h"

namespace overwinter::core {

enum class JobState : std::uint8_t {
  kQueued = 1,
  kStarting = 2,
  kRunning = 3,
  kStopping = 4,
  kPaused = 5,
  kSucceeded = 6,
  kFailed = 7,
  kCancelled = 8,
};
[[nodiscard]] constexpr bool is_terminal(JobState state) {
  return state >= JobState::kSucceeded;
}

// Why a job is paused or being stopped; tells whether it may go on by itself.
enum class Cause : std::uint8_t {
  kNone = 0,
  kPerson = 1,
  kBudget = 2,
  kTimeLimit = 3,
  kPreempted = 4,
  kDone = 5,
  kFailure = 6,
  kWorkerLost = 7,
  kDrain = 8,
  kCancelled = 9,  // a person ended the job for good
  kNoRoom = 10,    // for the job's result on the coordinator's disk
  kStalled = 11,   // a gang: no step, checkpoint or output for too long
  kLaunch = 12,    // a gang: it could not be started on these workers
};

enum class WorkerState : std::uint8_t {
  kJoined = 1,  // has a certificate, was never here
  kReady = 2,
  kDraining = 3,  // takes no new seat
  kLost = 4,
  kRemoved = 5,  // final; its certificate is on the deny list
};

struct ClusterCreated {
  std::string cluster;
  std::uint64_t seed = 0;
};
// Of the store (TRUST §4): a restore from a backup begins another, which knows nothing of what came
// after that backup.
struct StoreGeneration {
  std::uint64_t number = 1;       // one more with each restore
  std::uint64_t id = 1;           // what workers are told; no two restores have the same
  std::uint64_t backup_turn = 0;  // these three: of the restore that began it
  Time backup{};                  // the time of that turn
  Time restored{};
  [[nodiscard]] bool is_restored() const { return number > 1; }
  friend bool operator==(const StoreGeneration&, const StoreGeneration&) = default;
};
struct ClusterRestored {
  StoreGeneration generation;
};
struct ProjectCreated {
  std::string project;
  std::uint64_t actor = 0;
};
struct PriceBookChanged {
  ledger::PriceBook book;
  std::string source;
  std::uint64_t actor = 0;
};
struct TokenCreated {
  TokenId id;
  Digest hash;
  Role role = Role::kViewer;
  std::string project;
  std::string name;
  std::optional<Time> expires;
  std::uint64_t actor = 0;  // TokenId of who decided; 0: the system
};
struct TokenRevoked {
  TokenId id;
  std::uint64_t actor = 0;
};
struct JoinFileCreated {
  JoinFileId id;
  std::uint32_t uses = 1;
  Time expires;
  std::string name;
  std::vector<std::string> projects;
  bool may_set_price = false;
  std::uint64_t actor = 0;
};
struct JoinFileRevoked {
  JoinFileId id;
  std::uint64_t actor = 0;
};

// A machine became a worker; its cost runs from here.
struct WorkerRegistered {
  WorkerId worker;
  JoinFileId join_file;
  std::string name;
  Labels labels;
  std::vector<std::string> projects;
  bool spot = false;
  std::optional<Money> price_per_hour;
  Digest public_key;
};
// A new incarnation, or other devices than before.
struct WorkerConnected {
  WorkerId worker;
  Incarnation incarnation;
  MachineInfo machine;
};
struct WorkerStateChanged {
  WorkerId worker;
  WorkerState state = WorkerState::kReady;
  std::string reason;
  std::uint64_t actor = 0;
  bool removing = false;  // with kDraining: becomes kRemoved when its last seat is released
};
// Reports up to this number are processed.
struct ReportsProcessed {
  WorkerId worker;
  Incarnation incarnation;
  std::uint64_t number = 0;
};

struct JobAccepted {
  JobId job;
  std::string project;
  std::string name;  // last part of the resource name
  std::string display_name;
  Labels labels;
  std::string request_id;
  SharedBytes spec;
  Demand demand;
  SharedBytes plan;
  std::uint64_t actor = 0;
};
struct JobDemandChanged {  // planned anew while it waited
  JobId job;
  Demand demand;
  SharedBytes plan;
};
struct JobStateChanged {
  JobId job;
  JobState state = JobState::kQueued;
  Cause cause = Cause::kNone;
  AttemptNumber attempt = 0;
  std::string reason;  // one sentence
  std::uint64_t actor = 0;
};
struct JobUpdated {
  JobId job;
  std::optional<Money> cap;
  std::optional<Priority> priority;
  std::uint64_t actor = 0;
};
struct UnitsDone {  // at most one a job and turn
  JobId job;
  UnitRanges units;
  SeatKey seat;
};
struct UnitsFailedCounted {  // a failure of the job's own work, for `retries`
  JobId job;
  SeatKey seat;
  std::string message;
};
// A whole checkpoint: what the next attempt goes on from.
struct CheckpointKept {
  JobId job;
  AttemptNumber attempt = 0;
  std::uint64_t step = 0;
};
// One try of a gang breaks off: its seats are being ended, then the next one follows.
struct AttemptBroken {
  JobId job;
  AttemptNumber attempt = 0;
  Cause cause = Cause::kNone;
};
// All its seats are released. What ended it is the seat that failed by itself, if one did, before
// one whose worker was lost, before those that ended because of them.
struct AttemptEnded {
  JobId job;
  AttemptNumber attempt = 0;
  Cause cause = Cause::kNone;
  std::uint32_t seat = 0;  // 0: none alone
  WorkerId worker;         // of that seat
  std::uint64_t step = 0;  // the last that was heard of
  bool counts = false;     // towards `retries`
  SeatExit exit{};
  std::string reason;
};
// An ended job leaves the core; the projection keeps it.
struct JobForgotten {
  JobId job;
};

struct SeatGranted {
  SeatKey seat;
  WorkerId worker;
  Incarnation incarnation;
  DeviceIndex device = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  std::uint32_t share_ppm =
      0;  // of the device, in millionths; shares of a device sum to <= 1,000,000
  Money device_price_per_hour;  // in force at this instant
  Duration funded_for{0};       // running time on the worker's clock, stop_time included
  ledger::Charge reserved;      // the most that funded_for can cost
};
struct SeatFunded {
  SeatKey seat;
  Duration funded_for{0};                      // the new total
  ledger::Charge reserved;                     // the new total
  std::optional<Money> device_price_per_hour;  // when it changed: in force from here on
};
struct SeatStopping {
  SeatKey seat;
  Cause cause = Cause::kNone;
};
// The seat is over: its memory, its threads and the rest of its reservation are free, its bill is
// final.
struct SeatReleased {
  SeatKey seat;
  SeatEnd end = SeatEnd::kFinished;
  Duration used{0};
  std::uint64_t memory_peak_bytes = 0;
  std::string message;
  SeatExit exit{};             // of a gang's seat
  ledger::Charge wasted{};     // the part of its cost whose work the next attempt does again
  ledger::Charge gang_wait{};  // the part before all ranks of its attempt were up
};
// A slice of a seat's use; cut at price changes, UTC month ends and release.
struct UsageCharged {
  SeatKey seat;
  Time from;
  Time to;
  Duration used{0};
  Money device_price_per_hour;
  ledger::Charge charge;
};
// A slice of a machine's cost; lost is the part of it in which the worker was lost. Idle is the
// remainder.
struct MachineCharged {
  WorkerId worker;
  Time from;
  Time to;
  ledger::Charge total;
  ledger::Charge jobs;
  ledger::Charge lost;
};

using Fact =
    std::variant<ClusterCreated, ProjectCreated, PriceBookChanged, TokenCreated, TokenRevoked,
                 JoinFileCreated, JoinFileRevoked, WorkerRegistered, WorkerConnected,
                 WorkerStateChanged, ReportsProcessed, JobAccepted, JobDemandChanged,
                 JobStateChanged, JobUpdated, UnitsDone, UnitsFailedCounted, JobForgotten,
                 SeatGranted, SeatFunded, SeatStopping, SeatReleased, UsageCharged, MachineCharged,
                 CheckpointKept, AttemptBroken, AttemptEnded, ClusterRestored>;

}  // namespace overwinter::core
