// Evolver: what each fact makes of the state. Total: it never refuses and never decides; a fact of
// something that is not known changes nothing. Private to this room; outside it is evolve() of
// scheduler.h.
#pragma once

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/fact.h"

namespace overwinter::core {

class Evolver {
 public:
  Evolver(ClusterState& state, Time time) : state_(state), time_(time) {}

  // ---- evolve.cpp
  void operator()(const ClusterCreated& f);
  void operator()(const ClusterRestored& f);
  void operator()(const ProjectCreated& f);
  void operator()(const PriceBookChanged& f);
  void operator()(const TokenCreated& f);
  void operator()(const TokenRevoked& f);
  void operator()(const JoinFileCreated& f);
  void operator()(const JoinFileRevoked& f);

  // ---- evolve_workers.cpp
  void operator()(const WorkerRegistered& f);
  void operator()(const WorkerConnected& f);
  void operator()(const WorkerStateChanged& f);
  void operator()(const ReportsProcessed& f);
  void operator()(const MachineCharged& f);

  // ---- evolve_jobs.cpp
  void operator()(const JobAccepted& f);
  void operator()(const JobDemandChanged& f);
  void operator()(const JobStateChanged& f);
  void operator()(const JobUpdated& f);
  void operator()(const UnitsDone& f);
  void operator()(const UnitsFailedCounted& f);
  void operator()(const CheckpointKept& f);
  void operator()(const AttemptBroken& f);
  void operator()(const AttemptEnded& f);
  void operator()(const JobForgotten& f);

  // ---- evolve_seats.cpp
  void operator()(const SeatGranted& f);
  void operator()(const SeatFunded& f);
  void operator()(const SeatStopping& f);
  void operator()(const SeatReleased& f);
  void operator()(const UsageCharged& f);

 private:
  Job* find(JobId id) {
    const auto it = state_.jobs.find(id);
    return it == state_.jobs.end() ? nullptr : &it->second;
  }
  Worker* find(WorkerId id) {
    const auto it = state_.workers.find(id);
    return it == state_.workers.end() ? nullptr : &it->second;
  }
  Seat* find(SeatKey key) {
    Job* job = find(key.job);
    if (job == nullptr) return nullptr;
    const auto it = job->seats.find(key.number);
    if (it == job->seats.end() || it->second.key.attempt != key.attempt) return nullptr;
    return &it->second;
  }
  // Lets go of spans that are too old, and joins two when there are too many.
  void prune_busy(Worker& worker) const;
  // Books that no open slice needs. A machine that never connected has no prices yet: it takes
  // those that are left.
  void forget_earlier_prices();
  void reprice(Worker& worker, Time at) {
    worker.device_prices = device_prices(state_, worker, at);
  }

  ClusterState& state_;
  Time time_;
};

}  // namespace overwinter::core
