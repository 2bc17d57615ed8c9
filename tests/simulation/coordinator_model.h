// The coordinator around the real core: turns committed behind the stepping core, effects that
// leave after their commit, crashes that lose what was not committed.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/core/scheduler.h"
#include "tests/simulation/artifact_model.h"
#include "tests/simulation/invariants.h"
#include "tests/simulation/random.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/virtual_time.h"

namespace overwinter::simulation {

class CoordinatorModel {
 public:
  // `leave`: called with each effect as it leaves, in order.
  CoordinatorModel(VirtualTime& time, Random& random, const Scenario& scenario,
                   ArtifactModel& artifacts, std::function<void(const core::Effect&)> leave);

  void start();
  // Uncommitted turns, queued events and all soft state are gone.
  void crash();
  [[nodiscard]] bool up() const { return scheduler_ != nullptr; }
  // New at each start: what was begun under an old one is void.
  [[nodiscard]] std::uint64_t life() const { return life_; }
  // False when it is down: the event is lost.
  bool post(core::Event event);

  [[nodiscard]] Time now() const { return time_from_unix_ms(virtual_.now() + offset_ms_); }
  [[nodiscard]] const core::ClusterState& state() const { return scheduler_->state(); }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] std::uint64_t trace() const { return live_->trace() ^ trace_; }
  [[nodiscard]] bool remembers(JobId job, const std::string& request_id) const {
    return live_->remembers(job, request_id);
  }
  [[nodiscard]] std::uint64_t restarts() const { return life_ - 1; }
  void check_all() const;

  std::function<void()> on_crash;  // the world breaks connections and restarts it later

 private:
  struct Turn {
    Time time{};
    std::vector<core::Fact> facts;
    std::vector<core::Effect> effects;
  };
  [[nodiscard]] bool waits(const Turn& turn, const core::Effect& soft) const;
  void drain();
  void step(const core::Event& event);
  void hold_or_release();
  void begin_commit();
  void committed(std::uint64_t life, std::size_t turns);
  void arm_timer();
  void check_log() const;  // each fact that was stepped is durable or waits for its commit

  VirtualTime& virtual_;
  Random& random_;
  const Scenario& scenario_;
  ArtifactModel& artifacts_;
  std::function<void(const core::Effect&)> leave_;
  std::unique_ptr<core::Scheduler> scheduler_;
  std::unique_ptr<Invariants> live_;       // of what was stepped
  std::unique_ptr<Invariants> committed_;  // of what is durable
  std::deque<core::Event> queue_;
  std::deque<Turn> ahead_;  // stepped, not committed; the first `in_commit_` are being committed
  std::size_t in_commit_ = 0;
  std::vector<Turn> log_;  // durable
  std::optional<Time> armed_;
  core::Outcome outcome_;
  std::uint64_t life_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t trace_ = 0;
  Ms offset_ms_ = 0;
  bool draining_ = false;
};

}  // namespace overwinter::simulation
