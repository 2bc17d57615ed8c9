// CoordinatorLoop: the one thread that owns the Scheduler (ARCHITECTURE §4). It drains the queue,
// steps what came as one turn, hands the turn's facts to the store thread, and lets effects,
// replies and views of a turn leave after its commit, in order. It steps ahead of the store by at
// most kTurnsAheadMax turns.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/runtime/committer.h"
#include "coordinator/runtime/effect_dispatcher.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/views.h"

namespace overwinter::runtime {

inline constexpr std::size_t kTurnsAheadMax = 4;
inline constexpr std::size_t kEventsPerTurnMax = 256;
// A loop that comes this late was suspended or starved: every deadline moves by it.
inline constexpr Duration kStallMin{2000};

// Counted since the start; read on any thread.
struct LoopCounters {
  std::atomic<std::uint64_t> events{0};
  std::atomic<std::uint64_t> turns{0};  // that had facts
  std::atomic<std::uint64_t> facts{0};
  std::atomic<std::uint64_t> turn_us{
      0};  // from the first event of a committed turn to its effects, summed
  std::atomic<std::uint64_t> stalls{0};
};

class CoordinatorLoop {
 public:
  // The scheduler is replayed already; its first event is CoordinatorStarted, posted by the caller.
  // All references outlive this.
  CoordinatorLoop(core::Scheduler scheduler, const Clock& clock, Time last_durable,
                  EventQueue& queue, TurnSink& sink, EffectDispatcher& effects, Views& views);
  ~CoordinatorLoop();
  CoordinatorLoop(const CoordinatorLoop&) = delete;
  CoordinatorLoop& operator=(const CoordinatorLoop&) = delete;

  void start();
  // Takes no more events, commits what was stepped, lets its effects leave, ends both threads.
  void stop();

  // Cluster time. Any thread.
  [[nodiscard]] Time now() const;
  [[nodiscard]] const LoopCounters& counters() const { return counters_; }

 private:
  struct PendingTurn {
    bool durable = false;      // has facts: leaves after the commit
    std::uint64_t number = 0;  // of the commit it waits for
    std::vector<core::Effect> effects;
    ViewChange views;
    std::chrono::steady_clock::time_point began;
  };

  void run();
  void step_all(std::vector<core::Event>& events);
  void release_committed();
  void release(PendingTurn& turn);
  void send_soft(std::vector<core::Effect>& effects);
  [[nodiscard]] Time tick();
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> deadline() const;
  void notice_stall(std::vector<core::Event>& events);

  core::Scheduler scheduler_;
  const Clock& clock_;
  ClusterClock cluster_clock_;
  EventQueue& queue_;
  EffectDispatcher& effects_;
  Views& views_;
  Committer committer_;

  std::deque<PendingTurn> pending_;
  std::uint64_t submitted_ = 0;
  std::map<WorkerId, std::size_t> orders_waiting_;  // in pending_, by worker
  std::optional<Time> wakeup_;
  std::chrono::nanoseconds expected_by_{0};  // on clock_.monotonic(); 0: not waiting for a time
  core::Outcome outcome_;

  std::atomic<std::int64_t> now_offset_ms_{0};  // cluster time less clock_.monotonic()
  std::atomic<bool> stopping_{false};
  LoopCounters counters_;
  std::thread thread_;
};

}  // namespace overwinter::runtime
