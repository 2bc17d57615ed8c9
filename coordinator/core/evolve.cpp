// The way in, and what facts make of the cluster, its prices and who may speak to it.
#include <algorithm>
#include <variant>

#include "coordinator/core/evolver.h"
#include "coordinator/core/scheduler.h"

namespace overwinter::core {

void Evolver::operator()(const ClusterCreated& f) {
  state_.cluster = f.cluster;
  state_.seed = f.seed;
}

void Evolver::operator()(const ClusterRestored& f) {
  state_.generation = f.generation;
}

void Evolver::operator()(const ProjectCreated& f) {
  state_.projects.try_emplace(f.project, Project{f.project, time_, {}});
}

void Evolver::operator()(const PriceBookChanged& f) {
  // A book set twice in one instant was never in force.
  if (time_ > state_.prices_set_at) {
    state_.earlier_prices.push_back({std::move(state_.prices), time_});
  }
  state_.prices = f.book;
  state_.prices_source = f.source;
  state_.prices_set_at = time_;
  for (auto& [id, worker] : state_.workers) {
    if (worker.state != WorkerState::kRemoved) reprice(worker, worker.slice_from);
  }
  forget_earlier_prices();
}

void Evolver::operator()(const TokenCreated& f) {
  Token token{f.id, f.hash, f.role, f.project, f.name, f.expires, time_, std::nullopt};
  state_.tokens.insert_or_assign(f.id, std::move(token));
  state_.next_token = std::max(state_.next_token, f.id.value() + 1);
}

void Evolver::operator()(const TokenRevoked& f) {
  if (const auto it = state_.tokens.find(f.id); it != state_.tokens.end()) {
    it->second.revoked_at = time_;
  }
}

void Evolver::operator()(const JoinFileCreated& f) {
  JoinFile file{f.id, f.uses, 0, f.expires, f.name, f.projects, f.may_set_price, time_, {}};
  state_.join_files.insert_or_assign(f.id, std::move(file));
  state_.next_join_file = std::max(state_.next_join_file, f.id.value() + 1);
}

void Evolver::operator()(const JoinFileRevoked& f) {
  if (const auto it = state_.join_files.find(f.id); it != state_.join_files.end()) {
    it->second.revoked_at = time_;
  }
}

void Evolver::forget_earlier_prices() {
  auto& earlier = state_.earlier_prices;
  if (earlier.empty()) return;
  Time oldest = time_;
  for (const auto& [id, worker] : state_.workers) {
    if (worker.state == WorkerState::kRemoved || !worker.incarnation.valid()) continue;
    oldest = std::min(oldest, worker.slice_from);
  }
  std::erase_if(earlier, [oldest](const EarlierPrices& e) { return e.until <= oldest; });
}

void evolve(ClusterState& state, Time time, const Fact& fact) {
  state.last_time = std::max(state.last_time, time);
  std::visit(Evolver(state, time), fact);
}

}  // namespace overwinter::core
