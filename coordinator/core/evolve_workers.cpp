// What facts make of workers and of what machines cost.
#include <algorithm>

#include "coordinator/core/evolver.h"

namespace overwinter::core {

void Evolver::operator()(const WorkerRegistered& f) {
  Worker worker;
  worker.id = f.worker;
  worker.join_file = f.join_file;
  worker.name = f.name;
  worker.labels = f.labels;
  worker.projects = f.projects;
  worker.spot = f.spot;
  worker.price_per_hour = f.price_per_hour;
  worker.public_key = f.public_key;
  worker.registered_at = worker.state_at = worker.slice_from = time_;
  state_.workers_by_key[f.public_key] = f.worker;
  state_.workers_by_name[f.name] = f.worker;
  state_.next_worker = std::max(state_.next_worker, f.worker.value() + 1);
  state_.workers.insert_or_assign(f.worker, std::move(worker));
  if (const auto it = state_.join_files.find(f.join_file); it != state_.join_files.end()) {
    ++it->second.used;
  }
}

void Evolver::operator()(const WorkerConnected& f) {
  Worker* worker = find(f.worker);
  if (worker == nullptr) return;
  if (worker->incarnation != f.incarnation) worker->reports_processed = 0;
  worker->incarnation = f.incarnation;
  worker->machine = f.machine;
  worker->use.resize(f.machine.devices.size());
  // Its first Hello tells what it has: the slice that is open since it joined takes these prices.
  reprice(*worker, worker->slice_from);
}

void Evolver::operator()(const WorkerStateChanged& f) {
  Worker* worker = find(f.worker);
  if (worker == nullptr) return;
  if (worker->state == WorkerState::kLost &&
      (f.state == WorkerState::kDraining || f.state == WorkerState::kJoined)) {
    // It stays lost; what it shall be when it returns is noted.
    worker->draining = f.state == WorkerState::kDraining;
    worker->removing = worker->draining && (worker->removing || f.removing);
    return;
  }
  if (f.state == WorkerState::kLost && worker->state != WorkerState::kLost) {
    std::erase_if(worker->lost_at, [this](Time at) { return at <= time_ - kLossesKept; });
    if (worker->lost_at.size() >= kLossesMax) worker->lost_at.erase(worker->lost_at.begin());
    worker->lost_at.push_back(time_);
  }
  worker->state = f.state;
  worker->reason = f.reason;
  worker->state_at = time_;
  if (f.state == WorkerState::kDraining) {
    worker->draining = true;
    worker->removing = worker->removing || f.removing;
  }
  if (f.state == WorkerState::kReady || f.state == WorkerState::kJoined) {
    worker->draining = worker->removing = false;
  }
  if (f.state == WorkerState::kRemoved) {
    worker->draining = worker->removing = false;
    state_.workers_by_name.erase(worker->name);
  }
}

void Evolver::prune_busy(Worker& worker) const {
  auto& spans = worker.busy;
  std::erase_if(spans, [this](const BusySpan& s) { return s.until <= time_ - kBusyKept; });
  while (spans.size() > kBusySpansMax) {
    std::size_t closest = 1;  // to the one before it
    const auto gap = [&spans](std::size_t i) { return spans[i].from - spans[i - 1].until; };
    for (std::size_t i = 2; i < spans.size(); ++i) {
      if (gap(i) < gap(closest)) closest = i;
    }
    spans[closest - 1].until = spans[closest].until;
    spans.erase(spans.begin() + static_cast<std::ptrdiff_t>(closest));
  }
}

void Evolver::operator()(const ReportsProcessed& f) {
  Worker* worker = find(f.worker);
  if (worker == nullptr || worker->incarnation != f.incarnation) return;
  worker->reports_processed = std::max(worker->reports_processed, f.number);
  for (const SeatKey key : worker->seats) {
    if (Seat* seat = find(key)) seat->evidence_at = time_;
  }
}

void Evolver::operator()(const MachineCharged& f) {
  Worker* worker = find(f.worker);
  if (worker == nullptr) return;
  worker->total += f.total;
  worker->jobs += f.jobs;
  worker->lost += f.lost;
  worker->jobs_in_slice -= f.jobs;
  auto& later = worker->jobs_later;
  while (!later.empty() && later.begin()->first <= f.to) {
    worker->jobs_in_slice += later.begin()->second;
    later.erase(later.begin());
  }
  worker->slice_from = f.to;
  reprice(*worker, f.to);
  forget_earlier_prices();
}

}  // namespace overwinter::core
