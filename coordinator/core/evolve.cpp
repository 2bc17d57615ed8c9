#include <algorithm>

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/scheduler.h"

namespace overwinter::core {
namespace {

class Evolver {
 public:
  Evolver(ClusterState& state, Time time) : state_(state), time_(time) {}

  void operator()(const ClusterCreated& f) {
    state_.cluster = f.cluster;
    state_.seed = f.seed;
  }
  void operator()(const ProjectCreated& f) {
    state_.projects.try_emplace(f.project, Project{f.project, time_, {}});
  }
  void operator()(const PriceBookChanged& f) {
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
  void operator()(const TokenCreated& f) {
    Token token{f.id, f.hash, f.role, f.project, f.name, f.expires, time_, std::nullopt};
    state_.tokens.insert_or_assign(f.id, std::move(token));
    state_.next_token = std::max(state_.next_token, f.id.value() + 1);
  }
  void operator()(const TokenRevoked& f) {
    if (const auto it = state_.tokens.find(f.id); it != state_.tokens.end()) {
      it->second.revoked_at = time_;
    }
  }
  void operator()(const JoinFileCreated& f) {
    JoinFile file{f.id, f.uses, 0, f.expires, f.name, f.projects, f.may_set_price, time_, {}};
    state_.join_files.insert_or_assign(f.id, std::move(file));
    state_.next_join_file = std::max(state_.next_join_file, f.id.value() + 1);
  }
  void operator()(const JoinFileRevoked& f) {
    if (const auto it = state_.join_files.find(f.id); it != state_.join_files.end()) {
      it->second.revoked_at = time_;
    }
  }

  void operator()(const WorkerRegistered& f);
  void operator()(const WorkerConnected& f);
  void operator()(const WorkerStateChanged& f);
  void operator()(const ReportsProcessed& f);
  void operator()(const JobAccepted& f);
  void operator()(const JobDemandChanged& f) {
    Job* job = find(f.job);
    if (job == nullptr) return;
    job->demand = f.demand;
    job->plan = f.plan;
  }
  void operator()(const JobStateChanged& f);
  void operator()(const JobUpdated& f) {
    Job* job = find(f.job);
    if (job == nullptr) return;
    if (f.cap) job->demand.cap = f.cap;
    if (f.priority) job->demand.priority = *f.priority;
  }
  void operator()(const UnitsDone& f) {
    Job* job = find(f.job);
    if (job == nullptr) return;
    job->done.add(f.units);
    if (!job->gang()) job->failures = 0;
    if (Seat* seat = find(f.seat)) seat->evidence_at = time_;
  }
  void operator()(const UnitsFailedCounted& f) {
    Job* job = find(f.job);
    if (job == nullptr) return;
    ++job->failures;
    job->last_failure = f.message;
  }
  void operator()(const CheckpointKept& f) {
    Job* job = find(f.job);
    if (job == nullptr) return;
    job->checkpoint_step = f.step;
    job->checkpoint_attempt = f.attempt;
    job->checkpoint_at = time_;
    job->stalls = 0;
  }
  void operator()(const AttemptBroken& f) {
    Job* job = find(f.job);
    if (job == nullptr) return;
    job->broken = true;
    job->broken_cause = f.cause;
  }
  void operator()(const AttemptEnded& f);
  void operator()(const JobForgotten& f) {
    const auto it = state_.jobs.find(f.job);
    if (it == state_.jobs.end()) return;
    state_.jobs_by_name.erase({it->second.project, it->second.name});
    if (!it->second.request_id.empty()) {
      state_.jobs_by_request_id.erase({it->second.project, it->second.request_id});
    }
    state_.jobs.erase(it);
  }
  void operator()(const SeatGranted& f);
  void operator()(const SeatFunded& f) {
    Seat* seat = find(f.seat);
    if (seat == nullptr) return;
    find(f.seat.job)->reserved += f.reserved - seat->reserved;
    seat->reserved = f.reserved;
    seat->funded_for = f.funded_for;
    if (f.device_price_per_hour) seat->device_price_per_hour = *f.device_price_per_hour;
  }
  void operator()(const SeatStopping& f) {
    Seat* seat = find(f.seat);
    if (seat == nullptr) return;
    seat->stopping = true;
    seat->stop_cause = f.cause;
    seat->stopping_at = time_;
  }
  void operator()(const SeatReleased& f);
  void operator()(const UsageCharged& f);
  void operator()(const MachineCharged& f);

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
  // Books that no open slice needs. A machine that never connected has no prices yet: it takes
  // those that are left.
  void forget_earlier_prices() {
    auto& earlier = state_.earlier_prices;
    if (earlier.empty()) return;
    Time oldest = time_;
    for (const auto& [id, worker] : state_.workers) {
      if (worker.state == WorkerState::kRemoved || !worker.incarnation.valid()) continue;
      oldest = std::min(oldest, worker.slice_from);
    }
    std::erase_if(earlier, [oldest](const EarlierPrices& e) { return e.until <= oldest; });
  }
  void reprice(Worker& worker, Time at) {
    worker.device_prices = device_prices(state_, worker, at);
  }

  ClusterState& state_;
  Time time_;
};

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

void Evolver::operator()(const ReportsProcessed& f) {
  Worker* worker = find(f.worker);
  if (worker == nullptr || worker->incarnation != f.incarnation) return;
  worker->reports_processed = std::max(worker->reports_processed, f.number);
  for (const SeatKey key : worker->seats) {
    if (Seat* seat = find(key)) seat->evidence_at = time_;
  }
}

void Evolver::operator()(const JobAccepted& f) {
  Job job;
  job.id = f.job;
  job.project = f.project;
  job.name = f.name;
  job.display_name = f.display_name;
  job.request_id = f.request_id;
  job.labels = f.labels;
  job.demand = f.demand;
  job.submitter = f.actor;
  job.created_at = job.state_at = time_;
  job.spec = f.spec;
  job.plan = f.plan;
  state_.jobs_by_name[{f.project, f.name}] = f.job;
  if (!f.request_id.empty()) state_.jobs_by_request_id[{f.project, f.request_id}] = f.job;
  state_.next_job = std::max(state_.next_job, f.job.value() + 1);
  state_.jobs.insert_or_assign(f.job, std::move(job));
}

void Evolver::operator()(const JobStateChanged& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  if (job->running_since && f.state != JobState::kRunning) {
    job->ran += time_ - *job->running_since;
    job->running_since.reset();
  }
  if (job->state == JobState::kPaused && f.state == JobState::kQueued) {
    job->ran_at_resume = job->ran;  // a resume gives the time limit anew
    job->failures = job->stalls = 0;
  }
  if (f.state == JobState::kRunning && !job->running_since) job->running_since = time_;
  if (f.state == JobState::kStarting && !job->started_at) job->started_at = time_;
  job->state = f.state;
  job->cause = f.cause;
  job->reason = f.reason;
  job->state_actor = f.actor;
  job->state_at = time_;
  if (f.attempt != 0) {
    job->attempt = f.attempt;
    job->gang_workers.clear();
    job->seats_finished = 0;
    job->broken = false;
    job->broken_cause = Cause::kNone;
    job->culprit = {};
  }
  if (is_terminal(f.state)) job->ended_at = time_;
}

void Evolver::operator()(const AttemptEnded& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  if (f.counts) {
    ++job->failures;
    job->last_failure = f.reason;
  }
  if (f.cause == Cause::kStalled) ++job->stalls;
  EndedAttempt ended{f.attempt, f.cause,  f.worker, f.step,     job->checkpoint_step.value_or(0),
                     f.exit,    f.reason, time_,    job->wasted};
  job->ended_attempts.push_back(std::move(ended));
  if (job->ended_attempts.size() > kEndedAttemptsKept) {
    job->ended_attempts.erase(job->ended_attempts.begin());
  }
}

void Evolver::operator()(const SeatGranted& f) {
  Job* job = find(f.seat.job);
  Worker* worker = find(f.worker);
  if (job == nullptr || worker == nullptr) return;
  Seat seat;
  seat.key = f.seat;
  seat.worker = f.worker;
  seat.incarnation = f.incarnation;
  seat.device = f.device;
  seat.memory_bytes = f.memory_bytes;
  seat.threads = f.threads;
  seat.share_ppm = f.share_ppm;
  seat.device_price_per_hour = f.device_price_per_hour;
  seat.funded_for = f.funded_for;
  seat.reserved = f.reserved;
  seat.granted_at = seat.slice_from = seat.evidence_at = time_;
  job->reserved += f.reserved;
  if (job->gang()) job->gang_workers.push_back(f.worker);
  job->next_seat = std::max(job->next_seat, f.seat.number + 1);
  job->seats.insert_or_assign(f.seat.number, seat);
  worker->seats.insert(f.seat);
  if (f.device >= worker->use.size()) worker->use.resize(f.device + 1);
  DeviceUse& use = worker->use[f.device];
  use.memory_bytes += f.memory_bytes;
  use.threads += f.threads;
  use.share_ppm += f.share_ppm;
  ++use.seats;
}

void Evolver::operator()(const SeatReleased& f) {
  Seat* seat = find(f.seat);
  if (seat == nullptr) return;
  Job* job = find(f.seat.job);
  job->reserved -= seat->reserved - seat->charged;
  job->memory_peak_bytes = std::max(job->memory_peak_bytes, f.memory_peak_bytes);
  job->wasted += f.wasted;
  if (job->gang()) {
    if (f.end == SeatEnd::kCompleted) ++job->seats_finished;
    if (outweighs(f.end, job->culprit.end)) {
      // The first host's worker tells of the ranks of others, too.
      const bool known = f.exit.rank && *f.exit.rank < job->gang_workers.size();
      job->culprit = {f.seat.number, known ? job->gang_workers[*f.exit.rank] : seat->worker, f.end,
                      f.exit, f.message};
    }
  }
  if (Worker* worker = find(seat->worker)) {
    worker->seats.erase(f.seat);
    DeviceUse& use = worker->use[seat->device];
    use.memory_bytes -= seat->memory_bytes;
    use.threads -= seat->threads;
    use.share_ppm -= seat->share_ppm;
    --use.seats;
  }
  job->seats.erase(f.seat.number);
}

void Evolver::operator()(const UsageCharged& f) {
  Job* job = find(f.seat.job);
  Seat* seat = find(f.seat);
  if (job == nullptr || seat == nullptr) return;
  seat->charged += f.charge;
  seat->used_charged += f.used;
  seat->slice_from = f.to;
  job->charged += f.charge;
  job->reserved -= f.charge;
  if (const auto it = state_.projects.find(job->project); it != state_.projects.end()) {
    it->second.charged += f.charge;
  }
  Worker* worker = find(seat->worker);
  if (worker == nullptr) return;
  Time begin = worker->slice_from;
  for (Time cut = next_cut(state_, begin); cut <= f.from; cut = next_cut(state_, begin))
    begin = cut;
  if (begin <= worker->slice_from) {
    worker->jobs_in_slice += f.charge;
  } else {
    worker->jobs_later[begin] += f.charge;
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

}  // namespace

void evolve(ClusterState& state, Time time, const Fact& fact) {
  state.last_time = std::max(state.last_time, time);
  std::visit(Evolver(state, time), fact);
}

}  // namespace overwinter::core
