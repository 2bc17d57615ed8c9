// ClusterState: what the facts say, and nothing else. Two replays of the same facts are equal
// (operator==). What is known but not durable is in soft_state.h. Changed by evolve() alone; read
// by views, the store and the simulation. Not synchronised: the core loop owns it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/fact.h"

namespace overwinter::core {

// One share of one device, held now. A released seat leaves the state.
struct Seat {
  SeatKey key;
  WorkerId worker;
  Incarnation incarnation;
  DeviceIndex device = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  std::uint32_t share_ppm = 0;

  Money device_price_per_hour;  // of the slice that is open
  Duration funded_for{0};       // since it began, on the worker's clock; stop_time included
  ledger::Charge reserved;      // the most that funded_for can cost, `charged` included
  ledger::Charge charged;       // closed slices
  Duration used_charged{0};     // use in closed slices
  Time granted_at;
  Time slice_from;   // where the open slice begins
  Time evidence_at;  // last durable sign of life: grant, funding, done units, processed reports

  bool stopping = false;
  Cause stop_cause = Cause::kNone;
  Time stopping_at;
  friend bool operator==(const Seat&, const Seat&) = default;
};

// The seat that ended an attempt; of two, the one with the graver end.
struct Culprit {
  std::uint32_t seat = 0;  // 0: none
  WorkerId worker;
  SeatEnd end = SeatEnd::kFinished;
  SeatExit exit;
  std::string message;
  friend bool operator==(const Culprit&, const Culprit&) = default;
};
[[nodiscard]] bool outweighs(SeatEnd a, SeatEnd b);
// What an AttemptEnded said, kept for explain.
struct EndedAttempt {
  AttemptNumber attempt = 0;
  Cause cause = Cause::kNone;
  WorkerId worker;
  std::uint64_t step = 0;
  std::uint64_t from_step = 0;  // of the checkpoint that the next one goes on from; 0: the start
  SeatExit exit;
  std::string reason;
  Time at;
  ledger::Charge wasted;     // by the job until then, this attempt included
  ledger::Charge gang_wait;  // likewise
  friend bool operator==(const EndedAttempt&, const EndedAttempt&) = default;
};
inline constexpr std::size_t kEndedAttemptsKept = 8;

struct JobRecord {
  JobId id;
  std::string project;
  std::string name;  // last part of the resource name
  std::string display_name;
  std::string request_id;
  Labels labels;
  Demand demand;
  std::uint64_t submitter = 0;  // TokenId; 0: the system

  JobState state = JobState::kQueued;
  Cause cause = Cause::kNone;
  std::string reason;
  AttemptNumber attempt = 0;  // 0: was never started
  std::uint64_t state_actor = 0;

  Time created_at;
  std::optional<Time> started_at;     // of the first attempt
  std::optional<Time> ended_at;       // when it became terminal
  Time state_at;                      // of the last change of state
  std::optional<Time> running_since;  // while kRunning
  Duration ran{0};                    // running before that, since submission
  Duration ran_at_resume{0};  // of that, before the last resume: a time limit does not count it

  UnitRanges done;
  std::map<std::uint32_t, Seat> seats;  // by number; held now
  std::uint32_t next_seat = 1;
  std::uint32_t failures = 0;  // of its own work, since the last progress
  std::string last_failure;
  std::uint64_t memory_peak_bytes = 0;  // over released seats

  // Of a gang.
  std::optional<std::uint64_t> checkpoint_step;  // of its last whole checkpoint
  AttemptNumber checkpoint_attempt = 0;
  Time checkpoint_at;
  std::vector<WorkerId> gang_workers;  // of the seats granted for this attempt, rank by rank
  std::uint32_t seats_finished = 0;    // of them, ended well
  bool broken = false;                 // its seats are being ended, the next attempt follows
  Cause broken_cause = Cause::kNone;
  Culprit culprit;                           // of what ended this attempt, as far as it is known
  std::uint32_t stalls = 0;                  // since its last checkpoint
  std::vector<EndedAttempt> ended_attempts;  // the last few
  ledger::Charge wasted;                     // of `charged`: work that was done again
  std::optional<Time> up_at;                 // when all ranks of this attempt were up
  ledger::Charge gang_wait;                  // of `charged`: seats before that; not in `wasted`

  ledger::Charge charged;   // closed slices of all seats it ever had
  ledger::Charge reserved;  // of seats held now, not yet charged
  friend bool operator==(const JobRecord&, const JobRecord&) = default;
};

struct Job : JobRecord {
  SharedBytes spec;
  SharedBytes plan;

  [[nodiscard]] bool terminal() const { return is_terminal(state); }
  [[nodiscard]] bool gang() const { return demand.transport == Transport::kGang; }
  [[nodiscard]] bool all_done() const { return done.count() >= demand.units; }
  [[nodiscard]] std::uint64_t units_left() const { return demand.units - done.count(); }
  // nullptr when the key is not of a seat held now.
  [[nodiscard]] const Seat* find_seat(SeatKey key) const;
  friend bool operator==(const Job& a, const Job& b);
};

// Of what a gang's seat was `charged` for `used`: the part before all ranks of its attempt were up,
// which is all of it if they never were. At the seat's last price, as waste is.
[[nodiscard]] ledger::Charge waited_for_gang(const Job& job, const Seat& seat, Duration used,
                                             ledger::Charge charged);

// What seats hold of a device. Sums over the seats, kept for speed.
struct DeviceUse {
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
  std::uint32_t share_ppm = 0;
  std::uint32_t seats = 0;
  friend bool operator==(const DeviceUse&, const DeviceUse&) = default;
};

// A time in which a worker held at least one seat.
struct BusySpan {
  Time from;
  Time until;
  friend bool operator==(const BusySpan&, const BusySpan&) = default;
};
inline constexpr Duration kBusyKept = std::chrono::hours(1);
inline constexpr std::size_t kBusySpansMax = 64;
inline constexpr Duration kLossesKept = std::chrono::days(30);
inline constexpr std::size_t kLossesMax = 100;

struct Worker {
  WorkerId id;
  JoinFileId join_file;
  std::string name;
  Labels labels;
  std::vector<std::string> projects;  // empty: all
  bool spot = false;
  std::optional<Money> price_per_hour;
  Digest public_key;

  WorkerState state = WorkerState::kJoined;
  std::string reason;
  bool draining = false;  // wanted; stays true while it is lost
  bool removing = false;
  Incarnation incarnation;  // none before its first Hello
  MachineInfo machine;
  std::uint64_t reports_processed = 0;  // of this incarnation
  Time registered_at;
  Time state_at;

  std::vector<DeviceUse> use;      // one a device
  std::set<SeatKey> seats;         // held now
  std::vector<BusySpan> busy;      // closed ones of the last kBusyKept, oldest first
  std::optional<Time> busy_since;  // while it holds a seat
  std::vector<Time> lost_at;       // in the last kLossesKept, oldest first

  std::vector<Money> device_prices;  // an hour, of the open machine slice; one a device
  Time slice_from;                   // where the open machine slice begins
  ledger::Charge jobs_in_slice;      // charged to seats for the open slice
  // Charged to seats for slices that begin later, by where these begin: while a cut waits for the
  // words of other seats of the machine, one that ended is billed beyond it already.
  std::map<Time, ledger::Charge> jobs_later;
  ledger::Charge total;  // closed machine slices: total = jobs + lost + idle
  ledger::Charge jobs;
  ledger::Charge lost;
  friend bool operator==(const Worker&, const Worker&) = default;
};

struct Project {
  std::string name;
  Time created_at;
  ledger::Charge charged;  // of all its jobs, forgotten ones too
  friend bool operator==(const Project&, const Project&) = default;
};

struct Token {
  TokenId id;
  Digest hash;
  Role role = Role::kViewer;
  std::string project;
  std::string name;
  std::optional<Time> expires;
  Time created_at;
  std::optional<Time> revoked_at;
  friend bool operator==(const Token&, const Token&) = default;
};

struct JoinFile {
  JoinFileId id;
  std::uint32_t uses = 1;
  std::uint32_t used = 0;
  Time expires;
  std::string name;
  std::vector<std::string> projects;
  bool may_set_price = false;
  Time created_at;
  std::optional<Time> revoked_at;
  friend bool operator==(const JoinFile&, const JoinFile&) = default;
};

// A book that was in force before the one that is now.
struct EarlierPrices {
  ledger::PriceBook book;
  Time until;  // when the next one was set
  friend bool operator==(const EarlierPrices&, const EarlierPrices&) = default;
};

class ClusterState {
 public:
  std::string cluster;  // empty: no coordinator ever started on this store
  std::uint64_t seed = 0;
  Time last_time;  // of the last fact
  StoreGeneration generation;

  ledger::PriceBook prices;
  // Oldest first; kept while a machine's open slice begins before its `until`.
  std::vector<EarlierPrices> earlier_prices;
  std::string prices_source;
  Time prices_set_at;

  std::map<std::string, Project> projects;
  std::map<TokenId, Token> tokens;
  std::map<JoinFileId, JoinFile> join_files;
  std::map<WorkerId, Worker> workers;
  std::map<JobId, Job> jobs;

  std::uint64_t next_job = 1;
  std::uint64_t next_worker = 1;
  std::uint64_t next_token = 1;
  std::uint64_t next_join_file = 1;

  // Indexes, changed with what they index.
  using ByProject = std::pair<std::string, std::string>;
  std::map<ByProject, JobId> jobs_by_name;        // (project, name)
  std::map<ByProject, JobId> jobs_by_request_id;  // (project, request id)
  std::map<Digest, WorkerId> workers_by_key;
  std::map<std::string, WorkerId> workers_by_name;

  // nullptr when there is none.
  [[nodiscard]] const Job* find_job(JobId id) const;
  [[nodiscard]] const Worker* find_worker(WorkerId id) const;
  [[nodiscard]] const Seat* find_seat(SeatKey key) const;
  friend bool operator==(const ClusterState&, const ClusterState&) = default;
};

// A 64-bit hash of everything in a state, equal on every machine and in every run. Not
// cryptographic.
[[nodiscard]] std::uint64_t digest(const ClusterState& state);

// The book in force at `at`, as far back as books are kept.
[[nodiscard]] const ledger::PriceBook& prices_at(const ClusterState& state, Time at);
// The next instant after `at` at which any price may change, by its date or by a new book.
[[nodiscard]] std::optional<Time> next_price_change(const ClusterState& state, Time at);
// The next instant after `at` that ends every slice: a change of price or the end of a UTC month.
[[nodiscard]] Time next_cut(const ClusterState& state, Time at);
// Prices an hour of a worker's devices at `at`: from the book, or its own price spread in the
// book's proportions (evenly where the book has none). A device the book does not know costs
// nothing.
[[nodiscard]] std::vector<Money> device_prices(const ClusterState& state, const Worker& worker,
                                               Time at);
[[nodiscard]] Money machine_price(const Worker& worker);  // the sum of the open slice's prices
// The longest minimum of its devices' entries in force at `at`: what it is charged for at least.
[[nodiscard]] Duration machine_minimum(const ClusterState& state, const Worker& worker, Time at);

}  // namespace overwinter::core
