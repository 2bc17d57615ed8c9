// Scheduler: the state machine (ARCHITECTURE §3). Pure: time and chance come in as values. Not
// thread-safe: one thread owns it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/effect.h"
#include "coordinator/core/event.h"
#include "coordinator/core/fact.h"

namespace overwinter::core {

class ClusterState;
struct SoftState;

struct SchedulerConfig {
  Duration heartbeat_every{1000};     // what workers are told
  Duration lost_after{15000};         // silence after which a worker is lost
  Duration gang_lost_after{4000};     // the same, of one that has a seat of a gang
  Duration grace_after_start{30000};  // plus 1 ms a known worker; renewed while they return
  Duration funding_uncapped{24 * 3600 * 1000};  // the orphan limit
  Duration funding_capped{60 * 1000};           // slice of a capped job far from its cap
  Duration funding_min{1000};                   // plus stop_time: the least slice near the cap
  Duration forget_after{60 * 60 * 1000};        // an ended job leaves the core
  std::size_t jobs_waiting_max = 1'000'000;
};
// Numbers given in generation n of the store begin at (n - 1) times these, so that none of a
// generation that was lost is given again.
inline constexpr std::uint64_t kIdsOfGeneration = 1'000'000'000;
inline constexpr std::uint32_t kAttemptsOfGeneration = 1'000;

struct Outcome {
  std::vector<Fact> facts;
  std::vector<Effect> effects;
  std::optional<Time> next_wakeup;  // when TimerFired is wanted at the latest; absent: never
  // What a view shows and this step touched, durable or not (sorted, unique).
  std::vector<JobId> jobs_touched;
  std::vector<WorkerId> workers_touched;
  void clear();
};

class Scheduler {
 public:
  explicit Scheduler(SchedulerConfig config);
  // Starts from a state that was replayed elsewhere (a projection). CoordinatorStarted comes next.
  Scheduler(SchedulerConfig config, ClusterState state);
  ~Scheduler();
  Scheduler(Scheduler&&) noexcept;
  Scheduler& operator=(Scheduler&&) noexcept;

  // Decides, then evolves its own state by each fact at once. `out` is cleared first.
  void step(Time now, const Event& event, Outcome& out);
  // Replay of a durable fact that was committed at `time`. Total, decides nothing.
  void replay(Time time, const Fact& fact);

  [[nodiscard]] const ClusterState& state() const;
  // What is known but not durable (soft_state.h): gone at a restart, rebuilt from what workers say.
  [[nodiscard]] const SoftState& soft() const;
  [[nodiscard]] const SchedulerConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Applies a fact to a state. Total, never refuses, never decides.
void evolve(ClusterState& state, Time time, const Fact& fact);

}  // namespace overwinter::core
