// Views: what readers see of the cluster. Immutable snapshots, each replaced as a whole where a
// turn touched it and only after that turn's commit, so a reader never sees what could be lost. One
// writer (the core loop), readers on any thread; a reader holds a snapshot as long as it likes.
#pragma once

#include <boost/container/flat_map.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/domain/demand.h"
#include "common/domain/device.h"
#include "common/domain/ids.h"
#include "common/domain/principal.h"
#include "common/domain/unit_ranges.h"
#include "coordinator/core/cluster_state.h"
#include "coordinator/core/fact.h"
#include "coordinator/ledger/price_book.h"

namespace overwinter::runtime {

struct SeatView {
  SeatKey seat;
  WorkerId worker;
  DeviceIndex device = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t memory_used_bytes = 0;
  std::uint32_t threads = 0;
  Duration used{0};
  Duration funded{0};
};

struct JobView {
  // First and together: a list looks at these of all jobs.
  JobId id;
  Time created{};
  core::JobState state = core::JobState::kQueued;
  std::string project;
  std::string name;  // last part of the resource name
  std::string display_name;
  core::Labels labels;
  core::SharedBytes spec;
  core::SharedBytes plan;
  Demand demand;
  core::Cause cause = core::Cause::kNone;
  std::string reason;
  AttemptNumber attempt = 0;
  std::uint64_t submitter = 0;  // TokenId
  std::optional<Time> started;
  std::optional<Time> ended;
  Time state_at{};      // of the last change of state
  Duration running{0};  // time in RUNNING so far, up to `as_of`
  Time as_of{};
  UnitRanges done;
  std::uint32_t failures = 0;  // of its own work, since the last progress
  ledger::Charge charged;      // closed slices and `open`
  ledger::Charge open;         // used since the last slice was closed, as workers say
  Time open_from{};            // when the oldest of those slices began
  ledger::Charge reserved;
  bool resumes_by_itself = false;
  bool waits_for_budget = false;  // queued, and what is left of its cap pays for no free device
  std::uint64_t step = 0;         // of a gang: the highest of this attempt
  std::optional<std::uint64_t> checkpoint_step;  // of its last whole checkpoint
  std::vector<core::EndedAttempt> attempts;      // of a gang, the last few that have ended
  ledger::Charge wasted;                         // of `charged`: work that was done again
  ledger::Charge gang_wait;                      // of `charged`: seats before their gang was up
  std::uint64_t memory_peak_bytes = 0;           // over released seats
  std::vector<SeatView> seats;                   // held now, by number
  std::optional<Time> progressed;                // of a running attempt: last step, unit or output
  std::optional<Duration> progress_every;        // as a rule
};

struct DeviceUseView {
  std::uint64_t memory_reserved_bytes = 0;
  std::uint32_t threads_reserved = 0;
  std::uint32_t seats = 0;
  std::uint32_t share_ppm = 0;  // held, in millionths of the device
  std::uint64_t memory_used_bytes = 0;
};

struct WorkerView {
  WorkerId id;
  std::string name;
  core::WorkerState state = core::WorkerState::kJoined;
  std::string reason;
  Incarnation incarnation;
  MachineInfo machine;
  std::vector<DeviceUseView> uses;  // by device
  core::Labels labels;
  std::vector<std::string> projects;
  bool spot = false;
  Money price_per_hour;              // in force at the snapshot, of the whole machine
  std::vector<Money> device_prices;  // its parts, by device
  Digest public_key;
  Time joined{};
  Time last_seen{};
  // Of the machine's open slice; closed ones are in the store.
  Time slice_from{};
  Time lost_since{};  // while it is lost
  Money slice_price_per_hour;
  ledger::Charge open_jobs;          // of seats, in the open slice
  std::vector<core::BusySpan> busy;  // of the last hour before the snapshot
  std::optional<Time> busy_since;    // while it holds a seat
  std::vector<Time> lost_at;         // of the last 30 days before the snapshot
};

struct TokenView {
  TokenId id;
  Digest hash;
  Role role = Role::kNone;
  std::string project;
  std::string name;
  Time created{};
  std::optional<Time> expires;
  bool revoked = false;
};

struct JoinFileView {
  JoinFileId id;
  std::string name;
  std::uint32_t uses_left = 0;
  Time created{};
  Time expires{};
  std::vector<std::string> projects;
  bool may_set_price = false;
  bool revoked = false;
};

struct ClusterView {
  std::string cluster;
  std::vector<std::string> projects;  // sorted
  ledger::PriceBook prices;
  std::string prices_source;
  core::StoreGeneration generation;
};

using JobViewPtr = std::shared_ptr<const JobView>;
using WorkerViewPtr = std::shared_ptr<const WorkerView>;

// A step in a project's history, or in that of all projects: its job as it was after the change.
struct JobEvent {
  std::uint64_t number = 0;  // counts within that history and this run of the coordinator
  JobViewPtr job;
};

// What one committed turn changed.
struct ViewChange {
  std::vector<JobViewPtr> jobs;
  std::vector<JobId> jobs_gone;
  std::vector<WorkerViewPtr> workers;
  std::vector<TokenView> tokens;
  std::vector<JoinFileView> join_files;
  std::shared_ptr<const ClusterView> cluster;  // null: unchanged
};

// Thread-safe.
// What a job last measured of itself. Soft: lost at a restart, and of all but the last thousands of
// jobs; the curves (coordinator/telemetry) keep them.
struct JobMetrics {
  std::optional<double> loss;
  std::optional<double> validation_loss;
  double tokens_per_second = 0;
  double samples_per_second = 0;
};

class Views {
 public:
  // `first_event`: where event numbers begin. It grows from one start of the coordinator to the
  // next, so that a number from before a restart is known to be too old and none is given twice.
  explicit Views(std::uint64_t first_event) : first_event_(first_event) {}

  using Projects = std::set<std::string, std::less<>>;
  // put() makes a change readable and says whose jobs it touches, tell() wakes who listens to them;
  // apply() does both. On the loop's thread.
  [[nodiscard]] Projects put(const ViewChange& change);
  void tell(const Projects& projects);
  void apply(const ViewChange& change);

  [[nodiscard]] JobViewPtr job(JobId id) const;
  [[nodiscard]] JobViewPtr job(std::string_view project, std::string_view name) const;
  // Newest first, of one project or (empty) of all.
  [[nodiscard]] std::vector<JobViewPtr> jobs(std::string_view project) const;
  [[nodiscard]] WorkerViewPtr worker(WorkerId id) const;
  [[nodiscard]] std::vector<WorkerViewPtr> workers() const;  // by id
  [[nodiscard]] std::optional<TokenView> token(const Digest& hash) const;
  [[nodiscard]] std::optional<TokenView> token(TokenId id) const;
  [[nodiscard]] std::vector<TokenView> tokens() const;
  [[nodiscard]] std::optional<JoinFileView> join_file(JoinFileId id) const;
  [[nodiscard]] std::vector<JoinFileView> join_files() const;
  [[nodiscard]] std::shared_ptr<const ClusterView> cluster() const;

  // By the names that curves have; others are let go. Any thread.
  void note_metric(const std::string& project, JobId id, std::string_view metric, double value);
  // What was noted; after a restart, of a gang, what the source kept (asked once for each job: it
  // may read a file).
  [[nodiscard]] JobMetrics metrics(const JobView& job) const;
  using MetricsSource = std::function<JobMetrics(const std::string& project, JobId id)>;
  void set_metrics_source(MetricsSource source);  // before readers come

  // Events of a project, or (empty) of all, with number >= `from`, at most `max`. OUT_OF_RANGE when
  // that is older than what is kept (the reader lists again) or of another history. `from` = 0 or
  // the next number: nothing yet.
  [[nodiscard]] Result<std::vector<JobEvent>> events(const std::string& project, std::uint64_t from,
                                                     std::size_t max) const;
  // The number that the next event will have, of a project or (empty) of all.
  [[nodiscard]] std::uint64_t next_event(const std::string& project) const;

  // Calls `told` after each change of a job of `project` (empty: of any), from the loop's thread;
  // it must not block. Ends with unlisten(), after which it is not called again.
  using ListenerId = std::uint64_t;
  [[nodiscard]] ListenerId listen(std::string project, std::function<void()> told);
  void unlisten(ListenerId id);

 private:
  struct History {
    std::deque<JobEvent> kept;
    std::uint64_t next = 0;
  };
  struct Listener {
    std::string project;
    std::function<void()> told;
  };
  void remember(const JobViewPtr& job) OW_REQUIRES(mutex_);
  void forget(const std::vector<JobId>& jobs) OW_REQUIRES(mutex_);
  [[nodiscard]] JobMetrics kept_metrics(const std::string& project, JobId id) const;
  [[nodiscard]] std::uint64_t first_event(std::string_view project) const;

  const std::uint64_t first_event_;
  mutable Mutex mutex_;
  // Flat: a list of jobs looks at all of them, and new ones come at the end.
  boost::container::flat_map<JobId, JobViewPtr, std::less<>,
                             std::vector<std::pair<JobId, JobViewPtr>>>
      jobs_ OW_GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, JobId, std::less<>>, std::less<>> names_
      OW_GUARDED_BY(mutex_);
  std::map<WorkerId, WorkerViewPtr> workers_ OW_GUARDED_BY(mutex_);
  std::map<TokenId, TokenView> tokens_ OW_GUARDED_BY(mutex_);
  std::map<Digest, TokenId> token_hashes_ OW_GUARDED_BY(mutex_);
  std::map<JoinFileId, JoinFileView> join_files_ OW_GUARDED_BY(mutex_);
  std::shared_ptr<const ClusterView> cluster_ OW_GUARDED_BY(mutex_) =
      std::make_shared<const ClusterView>();
  mutable std::map<JobId, JobMetrics> metrics_ OW_GUARDED_BY(mutex_);
  MetricsSource metrics_source_;
  std::map<std::string, History> histories_ OW_GUARDED_BY(mutex_);  // "": all projects

  Mutex listeners_mutex_;  // taken before mutex_ is not held
  std::map<ListenerId, Listener> listeners_ OW_GUARDED_BY(listeners_mutex_);
  ListenerId next_listener_ OW_GUARDED_BY(listeners_mutex_) = 1;
};

// Events kept of a project, and of all.
inline constexpr std::size_t kEventsKeptMax = 4096;
// Numbers of all projects' events begin this much later: one of the other kind is never taken for
// it.
inline constexpr std::uint64_t kAllProjectsOffset = std::uint64_t{1} << 60;

}  // namespace overwinter::runtime
