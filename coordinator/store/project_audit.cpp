// The lines of the audit that facts give.
#include <optional>
#include <utility>

#include "coordinator/store/fact_projector.h"

namespace overwinter::store {

// The number of the next line of a project, or of all ("").
Result<std::uint64_t> FactProjector::next_number(const std::string& project) {
  auto at = projection_.audit_numbers.find(project);
  if (at == projection_.audit_numbers.end()) {
    Statement& last = project.empty() ? statements_.audit_last : statements_.audit_last_of;
    if (!project.empty()) last.bind_text(1, project);
    const auto found = last.step();
    if (!found) return fail(found.error());
    at = projection_.audit_numbers.emplace(project, *found ? last.number(0) : 0).first;
    last.reset();
  }
  return ++at->second;
}

Status FactProjector::audit(Decision made) {
  const auto number = next_number({});
  if (!number) return number.error();
  const auto of_project =
      made.project.empty() ? Result<std::uint64_t>(std::uint64_t{0}) : next_number(made.project);
  if (!of_project) return of_project.error();
  std::string actor = made.worker.empty() ? "coordinator" : "workers/" + made.worker;
  std::string name;
  std::string_view role;
  if (made.actor != 0) {
    actor = token(TokenId(made.actor));
    if (const auto at = state_.tokens.find(TokenId(made.actor)); at != state_.tokens.end()) {
      name = at->second.name;
      role = role_name(at->second.role);
    }
  }
  RowWriter out(statements_.audit);
  out.number(*number).number(turn_.sequence).integer(place_).integer(unix_ms(turn_.time));
  out.text(made.project).number(*of_project).text(actor).text(name).text(role);
  out.text(made.action).text(made.object).text(made.before).text(made.after);
  return out.text(audit_text(std::move(made.reason))).run();
}

Status FactProjector::operator()(const core::WorkerStateChanged& f) {
  touched_.workers.insert(f.worker);
  const core::Worker* worker = state_.find_worker(f.worker);
  if (worker == nullptr) return Status::success();
  const bool drains = f.state == core::WorkerState::kDraining;
  // What the coordinator does by itself is a decision when it ends a worker's use; that one is
  // lost, has become empty, or is back in this turn to be drained further follows from others.
  const bool is_back = worker->state == core::WorkerState::kReady && worker->state_at == turn_.time;
  if (f.actor == 0 && (!drains || worker->draining || is_back)) return Status::success();
  Decision made{f.actor,
                f.removing ? "worker.remove"
                : drains   ? "worker.drain"
                           : "worker.resume",
                "workers/" + worker->name};
  made.before = state_word(worker->state);
  made.after = state_word(f.state);
  if (f.removing) made.after += ", removed when it is empty";
  made.reason = f.reason;
  return audit(std::move(made));
}

Status FactProjector::operator()(const core::JobStateChanged& f) {
  touched_.jobs.insert(f.job);
  Status status = step(f.job, f.state, f.cause, f.attempt, f.reason, f.actor);
  const core::Job* job = state_.find_job(f.job);
  if (!status.ok() || job == nullptr) return status;
  // A job that stops comes to its end by what was decided when it was told to.
  if (job->state == core::JobState::kStopping && f.state != core::JobState::kStopping)
    return status;
  const bool by_cap = f.cause == core::Cause::kBudget;
  if ((f.actor == 0 && !by_cap) || f.cause == core::Cause::kDone) return status;
  Decision made = of_job(*job, f.actor,
                         f.cause == core::Cause::kCancelled   ? "job.cancel"
                         : f.state == core::JobState::kQueued ? "job.resume"
                                                              : "job.pause");
  made.before = state_word(job->state);
  made.after = state_word(f.state);
  made.reason = f.reason;
  return audit(std::move(made));
}

Status FactProjector::operator()(const core::JobUpdated& f) {
  touched_.jobs.insert(f.job);
  const core::Job* job = state_.find_job(f.job);
  if (job == nullptr) return Status::success();
  Decision made = of_job(*job, f.actor, "job.update");
  made.before = job_words(f.cap ? job->demand.cap : std::nullopt,
                          f.priority ? std::optional(job->demand.priority) : std::nullopt);
  made.after = job_words(f.cap, f.priority);
  return audit(std::move(made));
}

}  // namespace overwinter::store
