// What facts make of jobs and their attempts.
#include <algorithm>

#include "coordinator/core/evolver.h"

namespace overwinter::core {

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

void Evolver::operator()(const JobDemandChanged& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  job->demand = f.demand;
  job->plan = f.plan;
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
  if (f.state == JobState::kRunning && job->gang() && !job->up_at) job->up_at = time_;
  job->state = f.state;
  job->cause = f.cause;
  job->reason = f.reason;
  job->state_actor = f.actor;
  job->state_at = time_;
  if (f.attempt != 0) {
    job->attempt = f.attempt;
    job->gang_workers.clear();
    job->up_at.reset();
    job->seats_finished = 0;
    job->broken = false;
    job->broken_cause = Cause::kNone;
    job->culprit = {};
  }
  if (is_terminal(f.state)) job->ended_at = time_;
}

void Evolver::operator()(const JobUpdated& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  if (f.cap) job->demand.cap = f.cap;
  if (f.priority) job->demand.priority = *f.priority;
}

void Evolver::operator()(const UnitsDone& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  job->done.add(f.units);
  if (!job->gang()) job->failures = 0;
  if (Seat* seat = find(f.seat)) seat->evidence_at = time_;
}

void Evolver::operator()(const UnitsFailedCounted& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  ++job->failures;
  job->last_failure = f.message;
}

void Evolver::operator()(const CheckpointKept& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  job->checkpoint_step = f.step;
  job->checkpoint_attempt = f.attempt;
  job->checkpoint_at = time_;
  job->stalls = 0;
}

void Evolver::operator()(const AttemptBroken& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  job->broken = true;
  job->broken_cause = f.cause;
}

void Evolver::operator()(const AttemptEnded& f) {
  Job* job = find(f.job);
  if (job == nullptr) return;
  if (f.counts) {
    ++job->failures;
    job->last_failure = f.reason;
  }
  if (f.cause == Cause::kStalled) ++job->stalls;
  job->ended_attempts.push_back({.attempt = f.attempt,
                                 .cause = f.cause,
                                 .worker = f.worker,
                                 .step = f.step,
                                 .from_step = job->checkpoint_step.value_or(0),
                                 .exit = f.exit,
                                 .reason = f.reason,
                                 .at = time_,
                                 .wasted = job->wasted,
                                 .gang_wait = job->gang_wait});
  if (job->ended_attempts.size() > kEndedAttemptsKept) {
    job->ended_attempts.erase(job->ended_attempts.begin());
  }
}

void Evolver::operator()(const JobForgotten& f) {
  const auto it = state_.jobs.find(f.job);
  if (it == state_.jobs.end()) return;
  state_.jobs_by_name.erase({it->second.project, it->second.name});
  if (!it->second.request_id.empty()) {
    state_.jobs_by_request_id.erase({it->second.project, it->second.request_id});
  }
  state_.jobs.erase(it);
}

}  // namespace overwinter::core
