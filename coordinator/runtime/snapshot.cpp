#include "coordinator/runtime/snapshot.h"

#include <algorithm>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/soft_state.h"

namespace overwinter::runtime {
namespace {

SeatView seat_view(const core::Seat& seat, const core::JobSoft* soft) {
  SeatView view;
  view.seat = seat.key;
  view.worker = seat.worker;
  view.device = seat.device;
  view.memory_bytes = seat.memory_bytes;
  view.threads = seat.threads;
  view.used = seat.used_charged;
  view.funded = seat.funded_for;
  if (soft == nullptr) return view;
  if (const auto it = soft->seats.find(seat.key.number); it != soft->seats.end()) {
    view.used = std::max(view.used, it->second.used);
    view.memory_peak_bytes = it->second.memory_peak_bytes;
    view.memory_used_bytes = it->second.memory_used_bytes;
  }
  return view;
}

// What a seat has used since its last closed slice, by its worker's word.
ledger::Charge open_use(const core::Seat& seat, const core::JobSoft* soft) {
  if (soft == nullptr) return {};
  const auto it = soft->seats.find(seat.key.number);
  if (it == soft->seats.end() || it->second.used <= seat.used_charged) return {};
  return ledger::charge_for(seat.device_price_per_hour, it->second.used - seat.used_charged,
                            seat.share_ppm);
}

TokenView token_view(const core::Token& token) {
  return {token.id,   token.hash,       token.role,    token.project,
          token.name, token.created_at, token.expires, token.revoked_at.has_value()};
}

JoinFileView join_file_view(const core::JoinFile& file) {
  JoinFileView view;
  view.id = file.id;
  view.name = file.name;
  view.uses_left = file.uses - std::min(file.uses, file.used);
  view.created = file.created_at;
  view.expires = file.expires;
  view.projects = file.projects;
  view.may_set_price = file.may_set_price;
  view.revoked = file.revoked_at.has_value();
  return view;
}

std::shared_ptr<const ClusterView> cluster_view(const core::ClusterState& state) {
  auto view = std::make_shared<ClusterView>();
  view->cluster = state.cluster;
  for (const auto& [name, project] : state.projects) view->projects.push_back(name);
  view->prices = state.prices;
  view->prices_source = state.prices_source;
  view->generation = state.generation;
  return view;
}

void add_token(const core::ClusterState& state, TokenId id, ViewChange& change) {
  if (const auto it = state.tokens.find(id); it != state.tokens.end()) {
    change.tokens.push_back(token_view(it->second));
  }
}

void add_join_file(const core::ClusterState& state, JoinFileId id, ViewChange& change) {
  if (const auto it = state.join_files.find(id); it != state.join_files.end()) {
    change.join_files.push_back(join_file_view(it->second));
  }
}

void note_fact(const core::ClusterState& state, const core::Fact& fact, ViewChange& change) {
  std::visit(
      [&](const auto& f) {
        using F = std::decay_t<decltype(f)>;
        if constexpr (std::is_same_v<F, core::TokenCreated> ||
                      std::is_same_v<F, core::TokenRevoked>) {
          add_token(state, f.id, change);
        } else if constexpr (std::is_same_v<F, core::JoinFileCreated> ||
                             std::is_same_v<F, core::JoinFileRevoked>) {
          add_join_file(state, f.id, change);
        } else if constexpr (std::is_same_v<F, core::WorkerRegistered>) {
          add_join_file(state, f.join_file, change);
        } else if constexpr (std::is_same_v<F, core::ClusterCreated> ||
                             std::is_same_v<F, core::ClusterRestored> ||
                             std::is_same_v<F, core::ProjectCreated> ||
                             std::is_same_v<F, core::PriceBookChanged>) {
          change.cluster = cluster_view(state);
        } else if constexpr (std::is_same_v<F, core::JobForgotten>) {
          change.jobs_gone.push_back(f.job);
        }
      },
      fact);
}

template <class Ptr>
void replace_or_add(std::vector<Ptr>& list, Ptr view) {
  if (view == nullptr) return;
  for (Ptr& other : list) {
    if (other->id == view->id) {
      other = std::move(view);
      return;
    }
  }
  list.push_back(std::move(view));
}

}  // namespace

namespace {

// What the facts say.
void put_durable(const core::Job& job, Time now, JobView& view) {
  view.id = job.id;
  view.project = job.project;
  view.name = job.name;
  view.display_name = job.display_name;
  view.labels = job.labels;
  view.spec = job.spec;
  view.plan = job.plan;
  view.demand = job.demand;
  view.state = job.state;
  view.cause = job.cause;
  view.reason = job.reason;
  view.attempt = job.attempt;
  view.submitter = job.submitter;
  view.created = job.created_at;
  view.started = job.started_at;
  view.ended = job.ended_at;
  view.state_at = job.state_at;
  view.running = job.ran + (job.running_since ? now - *job.running_since : Duration(0));
  view.as_of = now;
  view.done = job.done;
  view.failures = job.failures;
  view.checkpoint_step = job.checkpoint_step;
  view.attempts = job.ended_attempts;
  view.wasted = job.wasted;
  view.gang_wait = job.gang_wait;
  view.memory_peak_bytes = job.memory_peak_bytes;
}

}  // namespace

JobViewPtr view_of_past(const core::Job& job) {
  auto view = std::make_shared<JobView>();
  put_durable(job, job.state_at, *view);
  view->charged = job.charged;
  return view;
}

JobViewPtr snapshot_job(const core::Scheduler& core, JobId id, Time now) {
  const core::Job* job = core.state().find_job(id);
  if (job == nullptr) return nullptr;
  const auto soft_it = core.soft().jobs.find(id);
  const core::JobSoft* soft = soft_it == core.soft().jobs.end() ? nullptr : &soft_it->second;
  auto view = std::make_shared<JobView>();
  put_durable(*job, now, *view);
  view->open_from = now;
  for (const auto& [number, seat] : job->seats) {
    const ledger::Charge open = open_use(seat, soft);
    view->open += open;
    view->gang_wait +=
        core::waited_for_gang(*job, seat, seat_view(seat, soft).used, seat.charged + open);
    view->open_from = std::min(view->open_from, seat.slice_from);
  }
  view->charged = job->charged + view->open;
  view->reserved = job->reserved - std::min(job->reserved, view->open);
  view->resumes_by_itself =
      job->state == core::JobState::kPaused && job->cause == core::Cause::kPreempted;
  if (soft != nullptr) {
    view->step = soft->step;
    view->progressed = soft->pace.last();
    view->progress_every = soft->pace.usual();
  }
  view->waits_for_budget =
      soft != nullptr && soft->unfunded && job->state == core::JobState::kQueued;
  for (const auto& [number, seat] : job->seats) view->seats.push_back(seat_view(seat, soft));
  return view;
}

WorkerViewPtr snapshot_worker(const core::Scheduler& core, WorkerId id, Time now) {
  const core::Worker* worker = core.state().find_worker(id);
  if (worker == nullptr) return nullptr;
  auto view = std::make_shared<WorkerView>();
  view->id = worker->id;
  view->name = worker->name;
  view->state = worker->state;
  view->reason = worker->reason;
  view->incarnation = worker->incarnation;
  view->machine = worker->machine;
  for (const auto& use : worker->use) {
    view->uses.push_back({use.memory_bytes, use.threads, use.seats, use.share_ppm, 0});
  }
  view->labels = worker->labels;
  view->projects = worker->projects;
  view->spot = worker->spot;
  view->device_prices = core::device_prices(core.state(), *worker, now);
  for (const Money price : view->device_prices) view->price_per_hour = view->price_per_hour + price;
  view->public_key = worker->public_key;
  view->joined = worker->registered_at;
  view->last_seen = worker->state_at;
  if (const auto it = core.soft().workers.find(id); it != core.soft().workers.end()) {
    view->last_seen = std::max(view->last_seen, it->second.last_sign);
  }
  view->slice_from = worker->slice_from;
  view->lost_since = worker->state_at;
  view->slice_price_per_hour = core::machine_price(*worker);
  view->busy = worker->busy;
  view->busy_since = worker->busy_since;
  view->lost_at = worker->lost_at;
  view->open_jobs = worker->jobs_in_slice;
  for (const auto& [from, charged] : worker->jobs_later) view->open_jobs += charged;
  for (const SeatKey& key : worker->seats) {
    const core::Seat* seat = core.state().find_seat(key);
    const auto soft_it = core.soft().jobs.find(key.job);
    if (seat == nullptr) continue;
    const core::JobSoft* soft = soft_it == core.soft().jobs.end() ? nullptr : &soft_it->second;
    view->open_jobs += open_use(*seat, soft);
    if (seat->device < view->uses.size())
      view->uses[seat->device].memory_used_bytes += seat_view(*seat, soft).memory_used_bytes;
  }
  return view;
}

void note_change(const core::Scheduler& core, const core::Outcome& outcome, Time now,
                 ViewChange& change) {
  for (const core::Fact& fact : outcome.facts) note_fact(core.state(), fact, change);
  for (const JobId id : outcome.jobs_touched) {
    replace_or_add(change.jobs, snapshot_job(core, id, now));
  }
  for (const WorkerId id : outcome.workers_touched) {
    replace_or_add(change.workers, snapshot_worker(core, id, now));
  }
}

ViewChange snapshot_all(const core::Scheduler& core, Time now) {
  ViewChange change;
  const core::ClusterState& state = core.state();
  for (const auto& [id, job] : state.jobs) change.jobs.push_back(snapshot_job(core, id, now));
  for (const auto& [id, worker] : state.workers) {
    change.workers.push_back(snapshot_worker(core, id, now));
  }
  for (const auto& [id, token] : state.tokens) change.tokens.push_back(token_view(token));
  for (const auto& [id, file] : state.join_files) change.join_files.push_back(join_file_view(file));
  change.cluster = cluster_view(state);
  return change;
}

}  // namespace overwinter::runtime
