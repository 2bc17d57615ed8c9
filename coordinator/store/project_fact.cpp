// The rows of history that facts give, and one fact's way into the projection.
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/core/scheduler.h"
#include "coordinator/store/fact_projector.h"

namespace overwinter::store {

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

namespace {

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

Time next_day_start(Time at) {
  return Time(std::chrono::floor<std::chrono::days>(at.time_since_epoch())) + std::chrono::days(1);
}

// Calls `add(at, part)` for each day or month (`next_of`: where the next one starts) that a slice
// touches: its part in proportion to the time. The parts sum to the charge.
template <class Add>
Status spread(Time from, Time to, ledger::Charge charge, Time (*next_of)(Time), Add add) {
  const std::int64_t whole = (to - from).count();
  ledger::Charge given;
  for (Time at = from;;) {
    const Time next = next_of(at);
    const bool last = next >= to;
    const ledger::Charge until =
        last ? charge : ledger::Charge{charge.units * (next - from).count() / whole};
    if (Status status = add(at, until - given); !status.ok() || last) return status;
    given = until;
    at = next;
  }
}

}  // namespace

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
  return spread(f.from, f.to, f.charge, next_day_start, [&](Time at, ledger::Charge part) {
    return add_sums(statements_.read_job_day, statements_.job_day, "job_days",
                    {day_of(at), {}, project}, {part});
  });
}

// A seat waited from its grant on and wasted up to its end.
Status FactProjector::operator()(const core::SeatReleased& f) {
  touch_worker_of(f.seat);
  touched_.jobs.insert(f.seat.job);
  const core::Job* job = state_.find_job(f.seat.job);
  const core::Seat* seat = state_.find_seat(f.seat);
  if (job == nullptr || seat == nullptr) return Status::success();
  const auto add = [&](Time at, ledger::Charge part) {
    return add_sums(statements_.read_waste_month, statements_.waste_month, "waste_months",
                    {month_of(at), {}, job->project}, {part});
  };
  const Time up = std::max(seat->granted_at, job->up_at.value_or(turn_.time));
  const Time kept = std::max(up, job->checkpoint_step ? job->checkpoint_at : up);
  Status status;
  if (f.gang_wait.units != 0) {
    status = spread(seat->granted_at, up, f.gang_wait, next_month_start, add);
  }
  if (status.ok() && f.wasted.units != 0) {
    status = spread(std::min(kept, turn_.time), turn_.time, f.wasted, next_month_start, add);
  }
  return status;
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
  return spread(f.from, f.to, f.total, next_day_start, [&](Time at, ledger::Charge part) {
    return add_sums(statements_.read_machine_day, statements_.machine_day, "machine_days",
                    {day_of(at), {}, {}}, {part});
  });
}

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
