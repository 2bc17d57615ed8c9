// Invariants: a second bookkeeping from the facts alone, with its own arithmetic, and rules between
// it, the core's state and what workers really did. Breaking a rule throws Violation with the
// rule's name (rules.h).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/core/soft_state.h"
#include "tests/simulation/rules.h"
#include "tests/simulation/violation.h"

namespace overwinter::simulation {

// What the world knows and facts do not say.
class Truth {
 public:
  virtual ~Truth() = default;
  // Durable in the artifact store, or reported done by a worker.
  [[nodiscard]] virtual bool landed(JobId job, UnitNumber unit) const = 0;
  // All ranks of an attempt came to the end of the job.
  [[nodiscard]] virtual bool gang_completed(JobId job) const = 0;
  // The highest step of a whole checkpoint.
  [[nodiscard]] virtual std::uint64_t checkpoint(JobId job) const = 0;
  // When its ranks last did something, on the world's clock.
  [[nodiscard]] virtual std::int64_t gang_active_at_ms(JobId job) const = 0;
};

// Beyond stop_time, for the way of an order and of its answer.
inline constexpr Duration kStopMargin{5000};

[[nodiscard]] std::string seat_text(const SeatKey& key);

class Invariants {
 public:
  Invariants(core::SchedulerConfig config, const Truth& truth);

  // Before a step: who speaks, and that a worker was heard of.
  void before_step(Time now, const core::Event& event);
  // After it: the facts, and the parts of the state that they touched.
  void after_step(Time now, const core::Event& event, const core::Outcome& out,
                  const core::Scheduler& core);
  // Facts of a replay after a crash: `started` is when the coordinator came back.
  void replayed(Time time, const std::vector<core::Fact>& facts);
  void coordinator_started(Time now);
  // Everything (each 1,000 steps, at restarts, at the end).
  void check_all(Time now, const core::Scheduler& core) const;

  // An effect leaves; `this` is the bookkeeping of what is committed.
  void check_leaving(const core::Effect& effect) const;
  // The job is kept with that request id, or was forgotten after it had ended.
  [[nodiscard]] bool remembers(JobId job, const std::string& request_id) const;

  [[nodiscard]] std::uint64_t facts() const { return facts_; }
  [[nodiscard]] std::uint64_t trace() const { return trace_; }

 private:
  struct ShadowSeat {
    WorkerId worker;
    DeviceIndex device = 0;
    std::uint64_t memory = 0;
    std::uint32_t threads = 0;
    std::uint32_t share_ppm = 0;
    Time granted_at;
    Duration funded_for{0};
    Duration used_charged{0};
    Time slice_end;
    Money price;  // in force
    ledger::Charge charged;
    bool stopping = false;
    std::optional<Time> stop_by;  // at the latest, while its worker is connected
  };
  struct ShadowJob {
    std::string project;
    std::string request_id;
    std::uint64_t units = 0;
    Duration stop_time{0};
    UnitRanges done;
    core::JobState state = core::JobState::kQueued;
    Time ended_at;
    std::optional<Money> cap;
    ledger::Charge charged;
    ledger::Charge final_bill;
    Demand demand;
    AttemptNumber attempt = 0;
    bool broken = false;
    std::optional<std::uint64_t> checkpoint;
    Time checkpoint_at;
    std::optional<Time> up_at;  // of this attempt
    ledger::Charge wasted;
    ledger::Charge gang_wait;
    std::uint32_t own_failures = 0;  // since the last resume
  };
  struct SeatSlice {
    Time from;
    Time to;
    ledger::Charge charge;
  };
  struct ShadowWorker {
    MachineInfo machine;
    Incarnation incarnation;
    std::uint64_t processed = 0;
    core::WorkerState state = core::WorkerState::kJoined;
    std::optional<Money> own_price;
    std::string supplier = "any";
    bool spot = false;
    std::vector<core::DeviceUse> use;
    Time registered_at;
    Time slice_from;
    std::vector<SeatSlice> seat_slices;  // in no machine slice yet
    ledger::Charge open_jobs;            // their sum
    ledger::Charge total;
    ledger::Charge jobs;
    ledger::Charge lost;
    std::optional<Time> last_contact;
    bool connected = false;
    std::optional<Time> first_connected;
    std::optional<Time> gang_until;  // when a gang's last seat of it was released
  };

  // ---- invariants_facts.cpp
  void apply(Time now, const core::Fact& fact, bool live);
  // Facts without a rule of their own.
  template <class F>
  void on(Time, const F&, bool) {}
  void on(Time now, const core::PriceBookChanged& f, bool live);
  void on(Time now, const core::WorkerRegistered& f, bool live);
  void on(Time now, const core::WorkerConnected& f, bool live);
  void on(Time now, const core::WorkerStateChanged& f, bool live);
  void on(Time now, const core::ReportsProcessed& f, bool live);
  void on(Time now, const core::JobAccepted& f, bool live);
  void on(Time now, const core::JobDemandChanged& f, bool live);
  void on(Time now, const core::JobUpdated& f, bool live);
  void on(Time now, const core::JobStateChanged& f, bool live);
  void on(Time now, const core::JobForgotten& f, bool live);
  void on(Time now, const core::UnitsDone& f, bool live);
  void on(Time now, const core::CheckpointKept& f, bool live);
  void on(Time now, const core::AttemptBroken& f, bool live);
  void on(Time now, const core::AttemptEnded& f, bool live);
  void on(Time now, const core::SeatGranted& f, bool live);
  void on(Time now, const core::SeatFunded& f, bool live);
  void on(Time now, const core::SeatStopping& f, bool live);
  void on(Time now, const core::SeatReleased& f, bool live);
  void check_silence(Time now, const core::WorkerStateChanged& f, const ShadowWorker& worker) const;

  // ---- invariants_money.cpp
  void on(Time now, const core::UsageCharged& f, bool live);
  void on(Time now, const core::MachineCharged& f, bool live);
  // Books set before `books_from` do not count.
  void check_cuts(Time from, Time to, Time books_from, const char* what) const;
  // At `at`: what it costs an hour, and for how long at the least.
  [[nodiscard]] std::pair<Money, Duration> price_of_machine(const ShadowWorker& worker,
                                                            Time at) const;

  // ---- invariants.cpp
  static void check_welcome(const core::WorkerHello& hello, const core::Outcome& out,
                            const core::ClusterState& state);
  static void check_stale(const core::Event& event, const core::Outcome& out);
  void check_request(const core::JobSubmitted& event, const core::Outcome& out) const;
  void heard(Time now, const core::WorkerHello& hello, const core::Outcome& out);
  void check_touched(Time now, const core::Outcome& out, const core::Scheduler& core) const;
  void check_job(Time now, const core::Job& job) const;
  // ---- invariants_gangs.cpp
  void check_gang(Time now, const core::Job& job) const;
  void check_granted(const core::SeatGranted& f) const;
  void check_waste(const core::SeatReleased& f, const ShadowSeat& seat);

  void check_seat(Time now, const core::Job& job, const core::Seat& seat) const;
  void check_worker(const core::Worker& worker) const;
  static void check_units(const core::Job& job, const core::SoftState& soft);
  void check_sums(const core::ClusterState& state) const;

  core::SchedulerConfig config_;
  const Truth& truth_;
  std::map<JobId, ShadowJob> jobs_;
  std::map<JobId, std::string> forgotten_;  // with their request ids
  std::map<SeatKey, ShadowSeat> seats_;
  std::map<WorkerId, ShadowWorker> workers_;
  std::map<std::pair<std::string, std::string>, JobId> requests_;  // of jobs that are kept
  std::map<Time, ledger::PriceBook> books_;                        // by when they were set
  ledger::Charge charged_;                                         // to all jobs, ever
  Time started_at_;
  core::ClusterState state_;  // evolved here from facts alone
  bool stale_event_ = false;
  bool removing_ = false;
  std::optional<JobId> known_request_;  // of the event, before the step
  std::optional<core::SeatEnded> reported_end_;
  std::vector<JobId> done_jobs_;  // of this step
  std::uint64_t facts_ = 0;
  std::uint64_t trace_ = 0xcbf29ce484222325ULL;
};

}  // namespace overwinter::simulation
