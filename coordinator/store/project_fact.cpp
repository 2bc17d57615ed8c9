// One fact → history rows and what it touched. Looks at the state before the fact where a row needs
// it.

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/core/scheduler.h"
#include "coordinator/store/history.h"
#include "coordinator/store/projection_impl.h"

namespace overwinter::store {
namespace {

std::string digits(std::uint64_t number) {
  return std::to_string(number);
}

class FactProjector {
 public:
  FactProjector(Projection::Impl& projection, const TurnRow& turn, std::uint32_t place)
      : projection_(projection),
        statements_(projection.statements),
        state_(projection.state),
        touched_(projection.touched),
        turn_(turn),
        place_(place) {}

  Status operator()(const core::ClusterCreated& f) { return audit(0, "cluster.create", f.cluster); }
  Status operator()(const core::ProjectCreated& f) {
    touched_.projects.insert(f.project);
    return audit(f.actor, "project.create", "projects/" + f.project);
  }
  Status operator()(const core::PriceBookChanged& f) {
    for (const auto& [id, worker] : state_.workers) {
      if (worker.state != core::WorkerState::kRemoved) touched_.workers.insert(id);
    }
    return audit(f.actor, "prices.set", "prices", digits(f.book.entries.size()) + " entries");
  }
  Status operator()(const core::TokenCreated& f) {
    touched_.tokens.insert(f.id);
    std::string detail = std::string(role_name(f.role));
    if (!f.project.empty()) detail += " of projects/" + f.project;
    return audit(f.actor, "token.create", token(f.id), detail + ", for " + f.name);
  }
  Status operator()(const core::TokenRevoked& f) {
    touched_.tokens.insert(f.id);
    return audit(f.actor, "token.revoke", token(f.id));
  }
  Status operator()(const core::JoinFileCreated& f) {
    touched_.join_files.insert(f.id);
    return audit(f.actor, "join_file.create", join_file(f.id), digits(f.uses) + " uses");
  }
  Status operator()(const core::JoinFileRevoked& f) {
    touched_.join_files.insert(f.id);
    return audit(f.actor, "join_file.revoke", join_file(f.id));
  }
  Status operator()(const core::WorkerRegistered& f) {
    touched_.workers.insert(f.worker);
    touched_.join_files.insert(f.join_file);
    return audit(0, "worker.join", "workers/" + f.name, "with " + join_file(f.join_file));
  }
  Status operator()(const core::WorkerConnected& f) { return touch(f.worker); }
  Status operator()(const core::WorkerStateChanged& f) {
    touched_.workers.insert(f.worker);
    const core::Worker* worker = state_.find_worker(f.worker);
    if (f.actor == 0 || worker == nullptr) return Status::success();
    const char* action = f.state == core::WorkerState::kRemoved || f.removing ? "worker.remove"
                         : f.state == core::WorkerState::kDraining            ? "worker.drain"
                                                                              : "worker.resume";
    return audit(f.actor, action, "workers/" + worker->name, f.reason);
  }
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
    return audit(f.actor, "job.submit", "projects/" + f.project + "/jobs/" + f.name);
  }
  Status operator()(const core::JobDemandChanged& f) {
    touched_.jobs.insert(f.job);
    const core::Job* job = state_.find_job(f.job);
    if (job == nullptr) return Status::success();
    return replace_plan(f.job, f.plan);
  }
  Status operator()(const core::JobStateChanged& f) {
    touched_.jobs.insert(f.job);
    Status status = step(f.job, f.state, f.cause, f.attempt, f.reason, f.actor);
    if (!status.ok() || f.actor == 0) return status;
    const char* action = f.cause == core::Cause::kCancelled || f.state == core::JobState::kCancelled
                             ? "job.cancel"
                         : f.state == core::JobState::kQueued ? "job.resume"
                                                              : "job.pause";
    return audit(f.actor, action, job_name(f.job), f.reason);
  }
  Status operator()(const core::JobUpdated& f) {
    touched_.jobs.insert(f.job);
    std::string detail;
    if (f.cap) detail = "cap " + format_money(*f.cap);
    if (f.priority)
      detail += (detail.empty() ? "priority " : ", priority ") +
                digits(static_cast<std::uint64_t>(*f.priority));
    return audit(f.actor, "job.update", job_name(f.job), detail);
  }
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
  Status operator()(const core::SeatReleased& f) {
    touch_worker_of(f.seat);
    return touch(f.seat.job);
  }
  Status operator()(const core::UsageCharged& f);
  Status operator()(const core::MachineCharged& f);

 private:
  static std::string token(TokenId id) { return "tokens/" + digits(id.value()); }
  static std::string join_file(JoinFileId id) { return "join_files/" + digits(id.value()); }
  std::string job_name(JobId id) const {
    const core::Job* job = state_.find_job(id);
    return job == nullptr ? "jobs/" + digits(id.value())
                          : "projects/" + job->project + "/jobs/" + job->name;
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
  Status audit(std::uint64_t actor, std::string_view action, std::string_view target,
               std::string_view detail = {}) {
    return row(statements_.audit)
        .integer(unix_ms(turn_.time))
        .number(actor)
        .text(action)
        .text(target)
        .text(detail)
        .run();
  }
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

Status FactProjector::replace_plan(JobId job, const core::SharedBytes& plan) {
  // The specification is not kept in memory: it is read back from its row.
  auto select =
      projection_.database.prepare("SELECT job, spec, plan, checksum FROM job_bytes WHERE job = ?");
  if (!select) return select.error();
  select->bind(1, job.value());
  const auto found = select->step();
  if (!found) return found.error();
  if (!*found) return error(Code::kDataLoss, "a job's specification is missing in the projection");
  if (Status status = check_row(*select, 3, "job_bytes"); !status.ok()) return status;
  const auto spec = std::make_shared<const std::string>(select->text(1));
  select->reset();
  return write_bytes(job, spec, plan);
}

// The columns that name a row of sums.
struct Key {
  std::string text;
  std::optional<std::uint64_t> number;
  std::optional<std::string> second;
};

// Adds to a row of sums: its key's columns, then one charge after the other.
Status add_sums(Statement& read, Statement& write, std::string_view table, const Key& key,
                std::vector<ledger::Charge> charges) {
  int columns = 1;
  read.bind_text(1, key.text);
  if (key.number) read.bind(++columns, *key.number);
  if (key.second) read.bind_text(++columns, *key.second);
  const auto found = read.step();
  if (!found) return found.error();
  Status status;
  if (*found) {
    status = check_row(read, columns + static_cast<int>(charges.size()), table);
    int at = columns;
    for (ledger::Charge& charge : charges) charge += charge_from(read.blob(at++));
  }
  read.reset();
  if (!status.ok()) return status;
  RowWriter row(write);
  row.text(key.text);
  if (key.number) row.number(*key.number);
  if (key.second) row.text(*key.second);
  for (const ledger::Charge& charge : charges) row.charge(charge);
  return row.run();
}

// Calls `add(day, part)` for each UTC day that a slice touches: its part in proportion to the time.
// The parts sum to the charge.
template <class Add>
Status by_day(Time from, Time to, ledger::Charge charge, Add add) {
  const std::int64_t whole = (to - from).count();
  ledger::Charge given;
  for (Time at = from;;) {
    const Time next =
        Time(std::chrono::floor<std::chrono::days>(at.time_since_epoch())) + std::chrono::days(1);
    const bool last = next >= to;
    const ledger::Charge until =
        last ? charge : ledger::Charge{charge.units * (next - from).count() / whole};
    if (Status status = add(day_of(at), until - given); !status.ok() || last) return status;
    given = until;
    at = next;
  }
}

Status FactProjector::operator()(const core::UsageCharged& f) {
  touched_.jobs.insert(f.seat.job);
  const WorkerId worker = touch_worker_of(f.seat);
  std::string project;
  if (const core::Job* job = state_.find_job(f.seat.job)) project = job->project;
  if (!project.empty()) touched_.projects.insert(project);
  Status status = row(statements_.usage)
                      .number(f.seat.job.value())
                      .integer(f.seat.attempt)
                      .integer(f.seat.number)
                      .number(worker.value())
                      .integer(unix_ms(f.from))
                      .integer(unix_ms(f.to))
                      .integer(f.used.count())
                      .integer(f.device_price_per_hour.micros)
                      .charge(f.charge)
                      .run();
  if (!status.ok()) return status;
  status = add_sums(statements_.read_job_month, statements_.job_month, "job_months",
                    {month_of(f.from), f.seat.job.value(), {}}, {f.charge});
  if (!status.ok()) return status;
  return by_day(f.from, f.to, f.charge, [&](std::string day, ledger::Charge part) {
    return add_sums(statements_.read_job_day, statements_.job_day, "job_days",
                    {std::move(day), {}, project}, {part});
  });
}

Status FactProjector::operator()(const core::MachineCharged& f) {
  touched_.workers.insert(f.worker);
  Status status = row(statements_.machine_slice)
                      .number(f.worker.value())
                      .integer(unix_ms(f.from))
                      .integer(unix_ms(f.to))
                      .charge(f.total)
                      .charge(f.jobs)
                      .charge(f.lost)
                      .run();
  if (!status.ok()) return status;
  status = add_sums(statements_.read_machine_month, statements_.machine_month, "machine_months",
                    {month_of(f.from), f.worker.value(), {}}, {f.total, f.jobs, f.lost});
  if (!status.ok()) return status;
  return by_day(f.from, f.to, f.total, [&](std::string day, ledger::Charge part) {
    return add_sums(statements_.read_machine_day, statements_.machine_day, "machine_days",
                    {std::move(day), {}, {}}, {part});
  });
}

}  // namespace

Status project_fact(Projection::Impl& projection, const TurnRow& turn, std::uint32_t place,
                    const core::Fact& fact) {
  Status status = std::visit(FactProjector(projection, turn, place), fact);
  if (!status.ok()) return status;
  core::evolve(projection.state, turn.time, fact);
  if (!projection.keep_job_bytes) {
    const JobId* changed = nullptr;
    if (const auto* accepted = std::get_if<core::JobAccepted>(&fact)) changed = &accepted->job;
    if (const auto* planned = std::get_if<core::JobDemandChanged>(&fact)) changed = &planned->job;
    if (changed != nullptr) {
      if (const auto job = projection.state.jobs.find(*changed);
          job != projection.state.jobs.end()) {
        job->second.spec.reset();
        job->second.plan.reset();
      }
    }
  }
  return status;
}

}  // namespace overwinter::store
