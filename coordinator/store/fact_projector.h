// One fact → history rows and what it touched. Looks at the state before the fact where a row needs
// it. This room's files alone.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "coordinator/core/fact.h"
#include "coordinator/store/audit_words.h"
#include "coordinator/store/history.h"
#include "coordinator/store/projection_impl.h"

namespace overwinter::store {

// A line of the audit before it has its numbers.
struct Decision {
  std::uint64_t actor = 0;  // a TokenId; 0: the coordinator itself
  std::string_view action = {};
  std::string object = {};
  std::string project = {};  // empty: the cluster's
  std::string before = {};
  std::string after = {};
  std::string reason = {};
  std::string worker = {};  // who decided, in place of `actor`
};

class FactProjector {
 public:
  FactProjector(Projection::Impl& projection, const TurnRow& turn, std::uint32_t place)
      : projection_(projection),
        statements_(projection.statements),
        state_(projection.state),
        touched_(projection.touched),
        turn_(turn),
        place_(place) {}

  Status operator()(const core::ClusterCreated& f) {
    return audit({.action = "cluster.create", .object = "clusters/" + f.cluster});
  }
  Status operator()(const core::ClusterRestored& f) {
    Decision made{.action = "cluster.restore", .object = "clusters/" + state_.cluster};
    made.before = generation_words(state_.generation);
    made.after = generation_words(f.generation);
    return audit(made);
  }
  Status operator()(const core::ProjectCreated& f) {
    touched_.projects.insert(f.project);
    return audit({f.actor, "project.create", "projects/" + f.project, f.project});
  }
  Status operator()(const core::PriceBookChanged& f) {
    for (const auto& [id, worker] : state_.workers) {
      if (worker.state != core::WorkerState::kRemoved) touched_.workers.insert(id);
    }
    const bool is_first = state_.prices_source.empty() && state_.prices.entries.empty();
    return audit({f.actor,
                  "prices.set",
                  "prices",
                  {},
                  is_first ? std::string() : price_words(state_.prices),
                  price_words(f.book)});
  }
  Status operator()(const core::TokenCreated& f) {
    touched_.tokens.insert(f.id);
    return audit({f.actor,
                  "token.create",
                  token(f.id),
                  f.project,
                  {},
                  token_words(f.role, f.project, f.name, f.expires)});
  }
  Status operator()(const core::TokenRevoked& f) {
    touched_.tokens.insert(f.id);
    Decision made{f.actor, "token.revoke", token(f.id)};
    if (const auto at = state_.tokens.find(f.id); at != state_.tokens.end()) {
      const core::Token& was = at->second;
      made.project = was.project;
      made.before = token_words(was.role, was.project, was.name, was.expires);
    }
    made.after = "revoked";
    return audit(std::move(made));
  }
  Status operator()(const core::JoinFileCreated& f) {
    touched_.join_files.insert(f.id);
    core::JoinFile file;
    file.uses = f.uses;
    file.expires = f.expires;
    file.name = f.name;
    file.projects = f.projects;
    file.may_set_price = f.may_set_price;
    return audit({f.actor, "join_file.create", join_file(f.id), {}, {}, join_file_words(file)});
  }
  Status operator()(const core::JoinFileRevoked& f) {
    touched_.join_files.insert(f.id);
    Decision made{f.actor, "join_file.revoke", join_file(f.id)};
    if (const auto at = state_.join_files.find(f.id); at != state_.join_files.end()) {
      made.before = join_file_words(at->second);
    }
    made.after = "revoked";
    return audit(std::move(made));
  }
  Status operator()(const core::WorkerRegistered& f) {
    touched_.workers.insert(f.worker);
    touched_.join_files.insert(f.join_file);
    return audit({.action = "worker.join",
                  .object = "workers/" + f.name,
                  .after = worker_words(f),
                  .worker = f.name});
  }
  Status operator()(const core::WorkerConnected& f) { return touch(f.worker); }
  Status operator()(const core::WorkerStateChanged& f);
  Status operator()(const core::ReportsProcessed& f) {
    // Every seat that the worker holds has shown life.
    if (const core::Worker* worker = state_.find_worker(f.worker)) {
      for (const SeatKey& seat : worker->seats) touched_.jobs.insert(seat.job);
    }
    return touch(f.worker);
  }

  Status operator()(const core::JobAccepted& f) {
    touched_.jobs.insert(f.job);
    Status status = write_bytes(f.job, f.spec, f.plan);
    if (status.ok())
      status = step(f.job, core::JobState::kQueued, core::Cause::kNone, 0, {}, f.actor);
    if (!status.ok()) return status;
    return audit({f.actor,
                  "job.submit",
                  "projects/" + f.project + "/jobs/" + f.name,
                  f.project,
                  {},
                  job_words(f.demand.cap, f.demand.priority)});
  }
  Status operator()(const core::JobDemandChanged& f) {
    touched_.jobs.insert(f.job);
    const core::Job* job = state_.find_job(f.job);
    if (job == nullptr) return Status::success();
    return replace_plan(f.job, f.plan);
  }
  Status operator()(const core::JobStateChanged& f);
  Status operator()(const core::JobUpdated& f);
  Status operator()(const core::UnitsDone& f) { return touch(f.job); }
  Status operator()(const core::UnitsFailedCounted& f) { return touch(f.job); }
  Status operator()(const core::CheckpointKept& f) { return touch(f.job); }
  Status operator()(const core::AttemptBroken& f) { return touch(f.job); }
  Status operator()(const core::AttemptEnded& f) { return touch(f.job); }
  Status operator()(const core::JobForgotten& f) {
    touched_.jobs.erase(f.job);
    const core::Job* job = state_.find_job(f.job);
    return job == nullptr ? Status::success() : projection_.write_job(*job, true);
  }

  Status operator()(const core::SeatGranted& f) {
    touched_.workers.insert(f.worker);
    return touch(f.seat.job);
  }
  Status operator()(const core::SeatFunded& f) { return touch(f.seat.job); }
  Status operator()(const core::SeatStopping& f) { return touch(f.seat.job); }
  Status operator()(const core::SeatReleased& f);
  Status operator()(const core::UsageCharged& f);
  Status operator()(const core::MachineCharged& f);

 private:
  static std::string token(TokenId id) { return "tokens/" + std::to_string(id.value()); }
  static std::string join_file(JoinFileId id) { return "join_files/" + std::to_string(id.value()); }
  // A decision about a job that the state has; none is made about another.
  Decision of_job(const core::Job& job, std::uint64_t actor, std::string_view action) const {
    return {actor, action, "projects/" + job.project + "/jobs/" + job.name, job.project};
  }
  Status touch(JobId id) {
    touched_.jobs.insert(id);
    return Status::success();
  }
  Status touch(WorkerId id) {
    touched_.workers.insert(id);
    return Status::success();
  }
  WorkerId touch_worker_of(const SeatKey& key) {
    const core::Seat* seat = state_.find_seat(key);
    if (seat == nullptr) return {};
    touched_.workers.insert(seat->worker);
    return seat->worker;
  }
  RowWriter row(Statement& into) {
    RowWriter out(into);
    out.number(turn_.sequence).integer(place_);
    return out;
  }
  Status audit(Decision made);
  Result<std::uint64_t> next_number(const std::string& project);
  Status step(JobId job, core::JobState state, core::Cause cause, AttemptNumber attempt,
              std::string_view reason, std::uint64_t actor) {
    return row(statements_.step)
        .number(job.value())
        .integer(unix_ms(turn_.time))
        .integer(static_cast<int>(state))
        .integer(static_cast<int>(cause))
        .integer(attempt)
        .text(reason)
        .number(actor)
        .run();
  }
  Status write_bytes(JobId job, const core::SharedBytes& spec, const core::SharedBytes& plan) {
    return RowWriter(statements_.job_bytes)
        .number(job.value())
        .blob(spec ? std::string_view(*spec) : std::string_view())
        .blob(plan ? std::string_view(*plan) : std::string_view())
        .run();
  }
  Status replace_plan(JobId job, const core::SharedBytes& plan);

  Projection::Impl& projection_;
  ProjectionStatements& statements_;
  const core::ClusterState& state_;
  Touched& touched_;
  const TurnRow& turn_;
  const std::uint32_t place_;
};

}  // namespace overwinter::store
