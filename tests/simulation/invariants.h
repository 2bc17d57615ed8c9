// Invariants: a second bookkeeping from the facts alone, with its own arithmetic, and rules between
// it, the core's state and what workers really did. Breaking a rule throws Violation with the
// rule's name.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/scheduler.h"
#include "tests/simulation/violation.h"

namespace overwinter::simulation {

namespace rule {
inline constexpr const char* kUnitOnce = "a unit is done at most once";
inline constexpr const char* kUnitLanded = "a unit is done only when it landed";
inline constexpr const char* kUnitByHeldSeat = "a unit is done only by a seat that is held";
inline constexpr const char* kDeviceBudget = "no device above its budget";
inline constexpr const char* kShares = "shares of a device sum to at most one";
inline constexpr const char* kTerminalFinal = "terminal is final, its bill too";
inline constexpr const char* kCap = "no cap passed";
inline constexpr const char* kBill = "bills equal the seats' use";
inline constexpr const char* kFunding = "no seat is billed above its funding";
inline constexpr const char* kSlices = "slices of a seat do not overlap";
inline constexpr const char* kPriceCut = "no slice crosses a change of price";
inline constexpr const char* kMonthCut = "no slice crosses the end of a month";
inline constexpr const char* kMachines = "jobs + idle + lost = machines";
inline constexpr const char* kReplay = "state = replay of facts";
inline constexpr const char* kRequestOnce = "one job a request id";
inline constexpr const char* kAcknowledged = "no acknowledged job or report is lost";
inline constexpr const char* kReportsInOrder = "reports are processed once, in order";
inline constexpr const char* kOldIncarnation = "what an old incarnation says is ignored";
inline constexpr const char* kGrace = "a worker that returns in time is not lost";
inline constexpr const char* kStopDeadline = "a seat told to stop is gone after its deadline";
inline constexpr const char* kIdleHoldsNothing = "a job that does not run holds no seat";
inline constexpr const char* kWelcome = "Welcome drops every seat that the core does not hold";
inline constexpr const char* kEnds = "when faults stop, every job ends";
inline constexpr const char* kSameTrace = "same seed, same trace";
}  // namespace rule

// What the world knows and facts do not say.
class Truth {
 public:
  virtual ~Truth() = default;
  // Durable in the artifact store, or reported done by a worker.
  [[nodiscard]] virtual bool landed(JobId job, UnitNumber unit) const = 0;
};

class Invariants {
 public:
  Invariants(core::SchedulerConfig config, const Truth& truth);

  // Before a step: who speaks, and that a worker was heard of.
  void before_step(Time now, const core::Event& event);
  // After it: the facts, and the parts of the state that they touched.
  void after_step(Time now, const core::Event& event, const core::Outcome& out,
                  const core::ClusterState& state);
  // Facts of a replay after a crash: `started` is when the coordinator came back.
  void replayed(Time time, const std::vector<core::Fact>& facts);
  void coordinator_started(Time now);
  // Everything (each 1,000 steps, at restarts, at the end).
  void check_all(Time now, const core::ClusterState& state) const;

  // An effect leaves; `this` is the bookkeeping of what is committed.
  void check_leaving(const core::Effect& effect) const;

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
    ledger::Charge charged;
    std::optional<Time> stopping_at;
  };
  struct ShadowJob {
    std::string project;
    std::string request_id;  // good for as long as the job is kept
    std::uint64_t units = 0;
    Duration stop_time{0};
    UnitRanges done;
    core::JobState state = core::JobState::kQueued;
    std::optional<Money> cap;
    ledger::Charge charged;
    ledger::Charge final_bill;
  };
  struct ShadowWorker {
    MachineInfo machine;
    Incarnation incarnation;
    std::uint64_t processed = 0;
    core::WorkerState state = core::WorkerState::kJoined;
    std::optional<Money> own_price;
    std::string supplier = "any";
    bool spot = false;
    std::map<DeviceIndex, core::DeviceUse> use;
    Time slice_from;
    ledger::Charge jobs_in_slice;
    std::optional<Time> last_contact;
    bool connected = false;
    std::optional<Time> first_connected;
  };

  void apply(Time now, const core::Fact& fact, bool live);
  void on(Time now, const core::JobAccepted& f);
  void on(Time now, const core::JobStateChanged& f);
  void on(Time now, const core::UnitsDone& f, bool live);
  void on(Time now, const core::SeatGranted& f);
  void on(Time now, const core::SeatReleased& f, bool live);
  void on(Time now, const core::UsageCharged& f);
  void on(Time now, const core::MachineCharged& f);
  void on(Time now, const core::WorkerStateChanged& f, bool live);
  void on(Time now, const core::ReportsProcessed& f);
  static void check_welcome(const core::WorkerHello& hello, const core::Outcome& out,
                            const core::ClusterState& state);
  // Books set before `books_from` do not count.
  void check_cuts(Time from, Time to, Time books_from, const char* what) const;
  void check_stale(const core::Event& event, const core::Outcome& out) const;
  void check_touched(Time now, const core::Outcome& out, const core::ClusterState& state) const;
  void check_job(Time now, const core::Job& job) const;
  [[nodiscard]] Money price_of_machine(const ShadowWorker& worker, Time at) const;

  core::SchedulerConfig config_;
  const Truth& truth_;
  std::map<JobId, ShadowJob> jobs_;
  std::map<SeatKey, ShadowSeat> seats_;
  std::map<WorkerId, ShadowWorker> workers_;
  std::set<std::pair<std::string, std::string>> requests_;
  std::map<Time, ledger::PriceBook> books_;  // by when they were set
  Time started_at_;
  core::ClusterState state_;  // evolved here from facts alone
  bool stale_event_ = false;
  bool removing_ = false;
  std::optional<core::SeatEnded> reported_end_;
  std::uint64_t trace_ = 0xcbf29ce484222325ULL;
};

}  // namespace overwinter::simulation
