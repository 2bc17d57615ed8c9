#include "tests/simulation/coordinator_model.h"

#include <algorithm>

namespace overwinter::simulation {
namespace {

constexpr std::size_t kTurnsAheadMax = 4;
constexpr std::uint64_t kFullCheckEvery = 1000;

// Of an order to one incarnation of a worker; invalid for others.
WorkerId worker_of(const core::Effect& effect) {
  return std::visit(
      [](const auto& e) {
        if constexpr (requires { e.incarnation; }) {
          return e.worker;
        } else {
          return WorkerId();
        }
      },
      effect);
}

}  // namespace

CoordinatorModel::CoordinatorModel(VirtualTime& time, Random& random, const Scenario& scenario,
                                   ArtifactModel& artifacts,
                                   std::function<void(const core::Effect&)> leave)
    : virtual_(time),
      random_(random),
      scenario_(scenario),
      artifacts_(artifacts),
      leave_(std::move(leave)),
      offset_ms_(scenario.start_unix_ms) {}

void CoordinatorModel::start() {
  const bool first = life_ == 0;
  ++life_;
  if (!first && random_.chance(0.3))
    offset_ms_ += random_.between(-3'600'000, 3'600'000);  // the wall clock jumped
  if (!log_.empty()) {
    const Ms durable = unix_ms(log_.back().time);
    offset_ms_ = std::max(offset_ms_, durable - virtual_.now());
  }
  scheduler_ = std::make_unique<core::Scheduler>(scenario_.config);
  if (live_) trace_ ^= live_->trace() * 31;
  for (const Turn& turn : log_) {
    for (const core::Fact& fact : turn.facts) scheduler_->replay(turn.time, fact);
  }
  // What is stepped goes on from what was durable, and the replay must be equal to that.
  if (!committed_) committed_ = std::make_unique<Invariants>(scenario_.config, artifacts_);
  live_ = std::make_unique<Invariants>(*committed_);
  live_->coordinator_started(now());
  live_->check_all(now(), *scheduler_);
  core::CoordinatorStarted started;
  if (first) {
    started.cluster = "simulated";
    started.seed = scenario_.seed;
  }
  post(started);
}

void CoordinatorModel::crash() {
  scheduler_.reset();
  queue_.clear();
  ahead_.clear();
  in_commit_ = 0;
  armed_.reset();
  artifacts_.crash();
  if (on_crash) on_crash();
}

bool CoordinatorModel::post(core::Event event) {
  if (!up()) return false;
  queue_.push_back(std::move(event));
  drain();
  return true;
}

void CoordinatorModel::drain() {
  if (draining_) return;
  draining_ = true;
  while (up() && !queue_.empty() && ahead_.size() < kTurnsAheadMax + in_commit_) {
    const core::Event event = std::move(queue_.front());
    queue_.pop_front();
    step(event);
  }
  draining_ = false;
}

// A soft effect never leaves before an order to the same worker that still waits for its commit.
bool CoordinatorModel::waits(const Turn& turn, const core::Effect& soft) const {
  const WorkerId worker = worker_of(soft);
  const auto holds_up = [worker](const core::Effect& effect) {
    return !std::holds_alternative<core::AcknowledgeReports>(effect) && worker_of(effect) == worker;
  };
  const auto any = [&](const Turn& t) {
    return std::any_of(t.effects.begin(), t.effects.end(), holds_up);
  };
  return any(turn) || std::any_of(ahead_.begin(), ahead_.end(), any);
}

void CoordinatorModel::step(const core::Event& event) {
  const Time time = now();
  ++events_;
  live_->before_step(time, event);
  scheduler_->step(time, event, outcome_);
  live_->after_step(time, event, outcome_, *scheduler_);
  if (events_ % kFullCheckEvery == 0) live_->check_all(time, *scheduler_);
  Turn turn;
  turn.time = time;
  turn.facts = std::move(outcome_.facts);
  const bool early = scenario_.shell_bug == ShellBug::kEffectsBeforeCommit;
  std::vector<core::Effect> soft;
  for (core::Effect& effect : outcome_.effects) {
    if (early || (core::is_soft(effect) && !waits(turn, effect))) {
      soft.push_back(std::move(effect));
    } else {
      turn.effects.push_back(std::move(effect));
    }
  }
  arm_timer();
  if (!turn.facts.empty() || !turn.effects.empty()) {
    ahead_.push_back(std::move(turn));
  }
  for (const core::Effect& effect : soft) {
    if (!up()) return;
    committed_->check_leaving(effect);
    leave_(effect);
  }
  hold_or_release();
}

// Turns without facts wait for those before them only.
void CoordinatorModel::hold_or_release() {
  while (up() && in_commit_ == 0 && !ahead_.empty() && ahead_.front().facts.empty()) {
    const Turn turn = std::move(ahead_.front());
    ahead_.pop_front();
    for (const core::Effect& effect : turn.effects) {
      committed_->check_leaving(effect);
      leave_(effect);
    }
  }
  if (up() && in_commit_ == 0 && !ahead_.empty()) begin_commit();
}

void CoordinatorModel::begin_commit() {
  in_commit_ = ahead_.size();
  const std::uint64_t life = life_;
  const std::size_t turns = in_commit_;
  virtual_.after(random_.between(0, 4), [this, life, turns] { committed(life, turns); });
}

void CoordinatorModel::check_log() const {
  std::uint64_t facts = committed_->facts();
  for (const Turn& turn : ahead_) facts += turn.facts.size();
  require(facts == live_->facts(), rule::kReplay, "facts were stepped that are in no log");
}

void CoordinatorModel::committed(std::uint64_t life, std::size_t turns) {
  if (!up() || life != life_) return;
  if (random_.chance(scenario_.commit_fails)) {
    if (scenario_.shell_bug != ShellBug::kFailedCommitIgnored) {
      crash();
      return;
    }
    // Planted: the turns are not durable, and their effects leave all the same.
    const std::deque<Turn> lost(ahead_.begin(),
                                ahead_.begin() + static_cast<std::ptrdiff_t>(turns));
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(turns));
    in_commit_ = 0;
    check_log();
    for (const Turn& turn : lost) {
      for (const core::Effect& effect : turn.effects) {
        committed_->check_leaving(effect);
        leave_(effect);
      }
    }
    hold_or_release();
    drain();
    return;
  }
  std::vector<core::Effect> effects;
  for (std::size_t i = 0; i < turns; ++i) {
    Turn turn = std::move(ahead_.front());
    ahead_.pop_front();
    committed_->replayed(turn.time, turn.facts);
    std::move(turn.effects.begin(), turn.effects.end(), std::back_inserter(effects));
    turn.effects.clear();
    if (!turn.facts.empty()) log_.push_back(std::move(turn));
  }
  in_commit_ = 0;
  check_log();
  // Durable, and nobody was told, or only those of the first effects.
  const bool dies = random_.chance(scenario_.commit_fails);
  if (dies) {
    effects.resize(
        static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(effects.size()))));
  }
  for (const core::Effect& effect : effects) {
    if (!up() || life != life_) return;
    committed_->check_leaving(effect);
    leave_(effect);
  }
  if (dies) {
    crash();
    return;
  }
  hold_or_release();
  drain();
}

void CoordinatorModel::arm_timer() {
  if (!outcome_.next_wakeup) return;
  const Time wanted = *outcome_.next_wakeup;
  if (armed_ && *armed_ <= wanted) return;
  armed_ = wanted;
  const std::uint64_t life = life_;
  const Ms at = std::max(unix_ms(wanted) - offset_ms_, virtual_.now());
  virtual_.at(at, [this, life, wanted] {
    if (!up() || life != life_ || armed_ != wanted) return;
    armed_.reset();
    post(core::TimerFired{});
  });
}

void CoordinatorModel::check_all() const {
  live_->check_all(now(), *scheduler_);
}

}  // namespace overwinter::simulation
