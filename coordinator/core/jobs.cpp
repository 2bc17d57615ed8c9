// What people ask of jobs: submit, pause, resume, cancel, update. A refusal is a reply, never a
// fact.
#include <algorithm>

#include "coordinator/core/engine.h"
#include "coordinator/core/planted_bug.h"

namespace overwinter::core {
namespace {

using ledger::Charge;
using ledger::charge_of;

// The least whole micro-units that cover a charge.
Money ceiling(Charge charge) {
  return {static_cast<std::int64_t>((charge.units + ledger::kUnitsPerMicro - 1) /
                                    ledger::kUnitsPerMicro)};
}

// Five characters that no other job of the cluster has (36^5 of them): a permutation of the job's
// number, shuffled by the seed so that names do not tell how many jobs there were.
std::string name_code(std::uint64_t seed, std::uint64_t number) {
  constexpr std::uint64_t kSpace = 36ULL * 36 * 36 * 36 * 36;
  std::uint64_t mixed = seed + 0x9e3779b97f4a7c15ULL;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  mixed ^= mixed >> 31;
  const std::uint64_t step = (kSpace / 8 + mixed % (kSpace / 2)) / 6 * 6 + 1;  // coprime to 36
  std::uint64_t code = (number % kSpace * step + (mixed >> 20)) % kSpace;
  std::string text(5, '0');
  for (char& c : text) {
    c = "0123456789abcdefghijklmnopqrstuvwxyz"[code % 36];
    code /= 36;
  }
  return text;
}

Status no_such_job() {
  return error(Code::kNotFound, "there is no such job", "name", "overwinter jobs list");
}

}  // namespace

std::string Engine::unique_name(const std::string& slug, const std::string& project,
                                JobId id) const {
  for (std::uint64_t salt = 0;; ++salt) {
    std::string name = slug + "-" + name_code(state_.seed + salt, id.value());
    if (!state_.jobs_by_name.contains({project, name})) return name;
  }
}

std::size_t Engine::choose(const std::vector<Alternative>& alternatives,
                           const std::string& project) {
  for (std::size_t i = 0; i < alternatives.size(); ++i) {
    if (eligible(alternatives[i].demand, project).exists) return i;
  }
  return 0;
}

Status Engine::check_submission(const JobSubmitted& event, const Alternative& chosen) {
  const Demand& demand = chosen.demand;
  if (waiting_.size() + unfit_.size() >= config_.jobs_waiting_max) {
    return error(Code::kResourceExhausted,
                 "there are " + std::to_string(config_.jobs_waiting_max) +
                     " jobs waiting already: submit again when some have started");
  }
  if (!demand.cap || demand.units == 0) return Status::success();
  const Eligible& best = eligible(demand, event.project);
  if (!best.exists) return Status::success();  // it waits; its cap is looked at when it could start
  const Duration least = config_.funding_min + demand.stop_time;
  const std::uint32_t seats = seats_at_once(demand);
  const Charge cost{best.per_ms.units * least.count() * seats};
  if (charge_of(*demand.cap) >= cost) return Status::success();
  return error(Code::kFailedPrecondition,
               "a cap of " + format_money(*demand.cap) + " " + state_.prices.currency +
                   " funds less than " + format_duration(least) + " of " +
                   (seats == 1 ? "one seat" : std::to_string(seats) + " seats") +
                   "; the least that would is " + format_money(ceiling(cost)) + " " +
                   state_.prices.currency,
               "budget.cap", "set budget.cap to at least " + format_money(ceiling(cost)));
}

void Engine::on(const JobSubmitted& event) {
  if (!sees_project(event.by, event.project) || !state_.projects.contains(event.project)) {
    reply(event.reply, error(Code::kNotFound, "there is no project \"" + event.project + "\"",
                             "project", "overwinter projects list"));
    return;
  }
  if (!event.request_id.empty() && !planted(Bug::kIdempotenceIgnored)) {
    const auto known = state_.jobs_by_request_id.find({event.project, event.request_id});
    if (known != state_.jobs_by_request_id.end()) {
      Reply again;
      again.reply = event.reply;
      again.job = known->second;
      again.repeated = true;
      effect(std::move(again));
      return;
    }
  }
  if (event.alternatives.empty()) {
    reply(event.reply, error(Code::kInvalidArgument, "the job has no plan"));
    return;
  }
  const Alternative& chosen = event.alternatives[choose(event.alternatives, event.project)];
  if (Status status = check_submission(event, chosen); !status.ok()) {
    reply(event.reply, std::move(status));
    return;
  }
  const JobId id(fresh_id(state_.next_job));
  emit(JobAccepted{id, event.project, unique_name(event.slug, event.project, id),
                   event.display_name, event.labels, event.request_id, event.spec, chosen.demand,
                   chosen.plan, event.by.id});
  touch(id);
  if (chosen.demand.units == 0) {
    if (!job(id).gang()) {
      effect(PrepareResult{id, event.project, event.spec, chosen.plan});
      effect(FinishResult{id});
    }
    set_state(id, JobState::kSucceeded, Cause::kDone, "it has nothing to compute", event.by.id);
  } else {
    update_waiting(id);
    eager_.insert(id);
  }
  Reply answer;
  answer.reply = event.reply;
  answer.job = id;
  effect(std::move(answer));
}

void Engine::on(const JobReplanned& event) {
  const Job* found = state_.find_job(event.job);
  if (found == nullptr || event.alternatives.empty()) return;
  // Once it was started, what is done is bound to its plan.
  if (found->state != JobState::kQueued || found->attempt != 0 || !found->done.empty()) return;
  const Alternative& chosen = event.alternatives[choose(event.alternatives, found->project)];
  Demand demand = chosen.demand;
  demand.cap = found->demand.cap;  // may have been updated since
  demand.priority = found->demand.priority;
  if (demand.units == 0 || demand == found->demand) return;
  emit(JobDemandChanged{event.job, demand, chosen.plan});
  soft_.jobs.erase(event.job);  // it never held a seat: what is known are the old plan's units
  touch(event.job);
  update_waiting(event.job);
  eager_.insert(event.job);
}

// ---- what people ask of a job

namespace {

// Not OK when the caller may not know of it, or not act on it.
Status refuse_caller(const Principal& by, const Job* job) {
  if (job == nullptr || !sees_project(by, job->project)) return no_such_job();
  if (by.kind == PrincipalKind::kPerson && by.role == Role::kSubmitter && by.id != job->submitter)
    return error(Code::kPermissionDenied,
                 "a submitter acts on the jobs it submitted; this one is somebody else's");
  return {};
}

bool over(const Job& job) {
  return job.terminal() || (job.state == JobState::kStopping && job.cause == Cause::kDone);
}

Reply answer_to(ReplyId reply, JobId job, Status status) {
  Reply answer;
  answer.reply = reply;
  if (status.ok()) answer.job = job;
  answer.status = std::move(status);
  return answer;
}

}  // namespace

void Engine::on(const JobActionRequested& event) {
  const Job* found = state_.find_job(event.job);
  Status status = refuse_caller(event.by, found);
  if (status.ok()) status = refuse_action(*found, event.action);
  if (status.ok() && !event.validate_only) {
    switch (event.action) {
      case JobAction::kPause:
        pause(*found, event.by.id);
        break;
      case JobAction::kResume:
        resume(*found, event.by.id);
        break;
      case JobAction::kCancel:
        cancel(*found, event.by.id);
        break;
    }
  }
  effect(answer_to(event.reply, event.job, std::move(status)));
}

// What is so already is no mistake.
Status Engine::refuse_action(const Job& job, JobAction action) {
  switch (action) {
    case JobAction::kPause:
      if (over(job))
        return error(Code::kFailedPrecondition, "the job has ended; there is nothing to pause");
      return {};
    case JobAction::kCancel:
      if (over(job) && job.state != JobState::kCancelled)
        return error(Code::kFailedPrecondition, "the job has ended; there is nothing to cancel");
      return {};
    case JobAction::kResume:
      break;
  }
  if (job.terminal())
    return error(Code::kFailedPrecondition, "the job has ended; submit it again instead");
  if (job.state == JobState::kStopping)
    return error(Code::kFailedPrecondition,
                 "the job is still stopping; resume it when it is PAUSED", {},
                 "overwinter jobs watch " + job.name);
  const auto left = job.state == JobState::kPaused ? room(job) : std::nullopt;
  if (!left) return {};
  const Eligible& best = eligible(job.demand, job.project);
  const Duration least = config_.funding_min + job.demand.stop_time;
  const Charge cost{best.per_ms.units * least.count() * seats_at_once(job.demand)};
  if (!best.exists || *left >= cost) return {};
  return error(Code::kFailedPrecondition,
               "the job's cap of " + format_money(*job.demand.cap) + " " + state_.prices.currency +
                   " has no room for another " + format_duration(least) +
                   "; the least that has is " +
                   format_money(ceiling(job.charged + job.reserved + cost)),
               "budget.cap", "overwinter jobs update " + job.name + " --cap …");
}

void Engine::pause(const Job& job, std::uint64_t actor) {
  if (job.state == JobState::kPaused || job.state == JobState::kStopping) return;
  stop_job(job.id, Cause::kPerson, "paused by a person", actor);
}

void Engine::resume(const Job& job, std::uint64_t actor) {
  if (job.state != JobState::kPaused) return;
  set_state(job.id, JobState::kQueued, Cause::kNone, "resumed", actor);
  update_waiting(job.id);
  eager_.insert(job.id);
}

void Engine::cancel(const Job& job, std::uint64_t actor) {
  if (job.terminal()) return;
  if (job.state == JobState::kStopping && job.cause == Cause::kFailure) return;
  stop_job(job.id, Cause::kCancelled, "cancelled by a person", actor);
}

void Engine::on(const JobUpdateRequested& event) {
  const Job* found = state_.find_job(event.job);
  Status status = refuse_caller(event.by, found);
  if (status.ok()) status = refuse_update(*found, event);
  if (status.ok() && !event.validate_only) {
    emit(JobUpdated{event.job, event.cap, event.priority, event.by.id});
    touch(event.job);
    update_waiting(event.job);
    eager_.insert(event.job);
  }
  effect(answer_to(event.reply, event.job, std::move(status)));
}

Status Engine::refuse_update(const Job& job, const JobUpdateRequested& event) const {
  if (job.terminal())
    return error(Code::kFailedPrecondition, "the job has ended and changes no more");
  if (!event.cap || charge_of(*event.cap) >= job.charged + job.reserved) return {};
  const Money least = ceiling(job.charged + job.reserved);
  return error(Code::kFailedPrecondition,
               "the job has spent or reserved " + format_money(least) + " " +
                   state_.prices.currency + " already; a cap cannot be lower",
               "budget.cap", "pause it first, or set at least " + format_money(least));
}

}  // namespace overwinter::core
