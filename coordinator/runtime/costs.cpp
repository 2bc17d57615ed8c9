#include "coordinator/runtime/costs.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "coordinator/runtime/resources.h"

namespace overwinter::runtime {
namespace {

constexpr Duration kRecent = std::chrono::hours(25);
constexpr std::size_t kRecentMax = 200'000;
constexpr std::size_t kTodayJobsMax = 1000;
constexpr std::size_t kSlicesMax = 10'000;
constexpr std::uint32_t kWholeShare = 1'000'000;

Time day_start(Time time) {
  return Time(std::chrono::floor<std::chrono::days>(time.time_since_epoch()));
}

Status check_month(const std::string& text) {
  if (text.empty() || (text.size() == 7 && parse_time(text + "-01"))) return Status::success();
  return error(Code::kInvalidArgument, "a month is written as 2026-11", "month");
}

// The part of a slice that lies at or after `from`, in proportion.
ledger::Charge part_since(Time slice_from, Time slice_to, ledger::Charge charge, Time from) {
  if (slice_to <= from) return {};
  if (slice_from >= from) return charge;
  const auto whole = (slice_to - slice_from).count();
  return {charge.units * (slice_to - from).count() / whole};
}

ledger::Charge open_machine(const WorkerView& worker, Time now) {
  if (worker.state == core::WorkerState::kRemoved || now <= worker.slice_from) return {};
  return ledger::charge_for(worker.slice_price_per_hour, now - worker.slice_from, kWholeShare);
}

// Open slices began in the month that is: the core cuts them at its start.
bool has_open(const std::string& month, Time now) {
  return month.empty() || month == store::month_of(now);
}

}  // namespace

bool Costs::concerns(const core::Fact& fact) {
  return std::holds_alternative<core::UsageCharged>(fact) ||
         std::holds_alternative<core::MachineCharged>(fact);
}

void Costs::remember(Slice slice) {
  const Time oldest = slice.to - kRecent;
  while (!recent_.empty() && (recent_.front().to < oldest || recent_.size() >= kRecentMax)) {
    recent_.pop_front();
  }
  recent_.push_back(std::move(slice));
}

void Costs::note(const core::Fact& fact) {
  if (const auto* usage = std::get_if<core::UsageCharged>(&fact)) {
    const auto job = views_.job(usage->seat.job);
    MutexLock lock(mutex_);
    if (job) remember({usage->from, usage->to, usage->charge, job->project});
  } else if (const auto* machine = std::get_if<core::MachineCharged>(&fact)) {
    MutexLock lock(mutex_);
    remember({machine->from, machine->to, machine->total, {}});
  }
}

Status Costs::load_today(Time now) {
  const Time today = day_start(now);
  store::JobQuery query;
  query.max = kTodayJobsMax;
  auto jobs = store_.history().jobs(query);
  if (!jobs) return jobs.error();
  for (const auto& past : *jobs) {
    if (past.job.ended_at && *past.job.ended_at < today) continue;
    auto slices = store_.history().usage(past.job.id, kSlicesMax);
    if (!slices) return slices.error();
    MutexLock lock(mutex_);
    for (const auto& slice : *slices) {
      if (slice.to > today) remember({slice.from, slice.to, slice.charge, past.job.project});
    }
  }
  return Status::success();
}

Result<std::map<JobId, store::JobCostRow>> Costs::jobs(const store::CostQuery& query,
                                                       Time now) const {
  if (Status status = store_.catch_up(); !status.ok()) return fail(std::move(status));
  std::map<JobId, store::JobCostRow> out;
  store::CostQuery page = query;
  for (;;) {
    auto rows = store_.history().job_costs(page);
    if (!rows) return fail(rows.error());
    for (auto& row : *rows) out.emplace(row.job, std::move(row));
    if (rows->size() < page.max) break;
    page.after = rows->back().job;
  }
  if (!has_open(query.month, now)) return out;
  for (const auto& view : views_.jobs(query.project)) {
    if (view->open.units == 0 || (!query.name.empty() && view->name != query.name)) continue;
    auto& row = out[view->id];
    row.job = view->id;
    row.project = view->project;
    row.name = view->name;
    row.state = view->state;
    row.charged += view->open;
    row.reserved = view->reserved;
    row.cap = view->demand.cap;
  }
  return out;
}

Status Costs::list_jobs(const std::string& project, const std::string& name,
                        const std::string& month, Time now, v1::ListJobCostsResponse& out) const {
  if (Status status = check_month(month); !status.ok()) return status;
  store::CostQuery query;
  query.project = project;
  query.name = name;
  query.month = month;
  const auto rows = jobs(query, now);
  if (!rows) return rows.error();
  const std::string currency = views_.cluster()->prices.currency;
  ledger::Charge sum;
  Money shown;
  for (const auto& [id, row] : *rows) {
    sum += row.charged;
    const Money total = ledger::rounded(sum);
    v1::JobCost& line = *out.add_jobs();
    line.set_job("projects/" + row.project + "/jobs/" + row.name);
    line.set_state(v1::Job::State_Name(static_cast<int>(row.state)));
    *line.mutable_charged() = money(total - shown, currency);
    *line.mutable_reserved() = money(ledger::rounded(row.reserved), currency);
    if (row.cap) *line.mutable_cap() = money(*row.cap, currency);
    shown = total;
  }
  *out.mutable_total() = money(shown, currency);
  return Status::success();
}

Result<std::map<WorkerId, Costs::Machine>> Costs::machines(const std::string& month,
                                                           Time now) const {
  if (Status status = store_.catch_up(); !status.ok()) return fail(std::move(status));
  std::map<WorkerId, Machine> out;
  auto rows = store_.history().machine_costs(month);
  if (!rows) return fail(rows.error());
  for (auto& row : *rows) out[row.worker] = {std::move(row.name), row.total, row.jobs, row.lost};
  if (!has_open(month, now)) return out;
  for (const auto& worker : views_.workers()) {
    Machine& machine = out[worker->id];
    machine.name = worker->name;
    const ledger::Charge open = open_machine(*worker, now);
    // What seats have used by their own word may be a little ahead of the machine's time.
    const ledger::Charge open_jobs = std::min(open, worker->open_jobs);
    machine.total += open;
    machine.jobs += open_jobs;
    if (worker->state == core::WorkerState::kLost) {
      const Time since = std::max(worker->slice_from, worker->lost_since);
      machine.lost += std::min(open - open_jobs, part_since(worker->slice_from, now, open, since));
    }
  }
  return out;
}

Status Costs::list_machines(const std::string& month, Time now,
                            v1::ListMachineCostsResponse& out) const {
  if (Status status = check_month(month); !status.ok()) return status;
  const auto rows = machines(month, now);
  if (!rows) return rows.error();
  const std::string currency = views_.cluster()->prices.currency;
  Machine sum;
  Money total;
  Money jobs;
  Money lost;
  for (const auto& [id, machine] : *rows) {
    sum.total += machine.total;
    sum.jobs += machine.jobs;
    sum.lost += machine.lost;
    const Money line_total = ledger::rounded(sum.total) - total;
    const Money line_jobs = ledger::rounded(sum.jobs) - jobs;
    const Money line_lost = ledger::rounded(sum.lost) - lost;
    v1::MachineCost& line = *out.add_machines();
    line.set_worker("workers/" + machine.name);
    *line.mutable_total() = money(line_total, currency);
    *line.mutable_jobs() = money(line_jobs, currency);
    *line.mutable_lost() = money(line_lost, currency);
    // The remainder, so that jobs + idle + lost = total in every line.
    *line.mutable_idle() = money(line_total - line_jobs - line_lost, currency);
    total = total + line_total;
    jobs = jobs + line_jobs;
    lost = lost + line_lost;
  }
  v1::MachineCost& all = *out.mutable_total();
  *all.mutable_total() = money(total, currency);
  *all.mutable_jobs() = money(jobs, currency);
  *all.mutable_lost() = money(lost, currency);
  *all.mutable_idle() = money(total - jobs - lost, currency);
  return Status::success();
}

Status Costs::fill_status(bool of_machines, const std::string& project, Time now,
                          v1::ClusterStatus& out) const {
  const std::string currency = views_.cluster()->prices.currency;
  const Time today = day_start(now);
  ledger::Charge day;
  ledger::Charge month;
  {
    MutexLock lock(mutex_);
    for (const Slice& slice : recent_) {
      const bool counts =
          of_machines ? slice.project.empty()
                      : !slice.project.empty() && (project.empty() || slice.project == project);
      if (counts) day += part_since(slice.from, slice.to, slice.charge, today);
    }
  }
  if (of_machines) {
    const auto rows = machines(store::month_of(now), now);
    if (!rows) return rows.error();
    for (const auto& [id, machine] : *rows) month += machine.total;
    for (const auto& worker : views_.workers()) {
      day += part_since(worker->slice_from, now, open_machine(*worker, now), today);
    }
  } else {
    store::CostQuery query;
    query.project = project;
    query.month = store::month_of(now);
    const auto rows = jobs(query, now);
    if (!rows) return rows.error();
    for (const auto& [id, row] : *rows) month += row.charged;
    for (const auto& view : views_.jobs(project)) day += view->open;
  }
  *out.mutable_cost_today() = money(ledger::rounded(day), currency);
  *out.mutable_cost_month() = money(ledger::rounded(month), currency);
  return Status::success();
}

}  // namespace overwinter::runtime
