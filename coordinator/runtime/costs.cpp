#include "coordinator/runtime/costs.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/wire/convert.h"
#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/pages.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::runtime {
namespace {

Time day_start(Time time) {
  return Time(std::chrono::floor<std::chrono::days>(time.time_since_epoch()));
}

Status check_month(const std::string& text) {
  if (text.empty() || (text.size() == 7 && parse_time(text + "-01"))) return Status::success();
  return error(Code::kInvalidArgument, "a month is written as 2026-11", "month");
}

// The part of a slice that lies at or after `from`, in proportion.
ledger::Charge part_since(Time slice_from, Time slice_to, ledger::Charge charge, Time from) {
  if (slice_to <= from || slice_to <= slice_from) return {};
  if (slice_from >= from) return charge;
  const auto whole = (slice_to - slice_from).count();
  return {charge.units * (slice_to - from).count() / whole};
}

// Open slices began in the month that is: the core cuts them at its start.
bool has_open(const std::string& month, Time now) {
  return month.empty() || month == store::month_of(now);
}

}  // namespace

ledger::Charge open_machine(const WorkerView& worker, Time now) {
  constexpr std::uint32_t kWholeShare = 1'000'000;
  if (worker.state == core::WorkerState::kRemoved || now <= worker.slice_from) return {};
  return ledger::charge_for(worker.slice_price_per_hour, now - worker.slice_from, kWholeShare);
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

Result<JobBill> Costs::job_bill(const std::string& project, const std::string& name,
                                const std::string& month, Time now) const {
  if (Status status = check_month(month); !status.ok()) return fail(std::move(status));
  store::CostQuery query;
  query.project = project;
  query.name = name;
  query.month = month;
  const auto rows = jobs(query, now);
  if (!rows) return fail(rows.error());
  JobBill bill;
  bill.currency = views_.cluster()->prices.currency;
  ledger::Charge sum;
  for (const auto& [id, row] : *rows) {
    sum += row.charged;
    const Money total = ledger::rounded(sum);
    bill.lines.push_back({id, row.project, row.name, row.state, total - bill.total,
                          ledger::rounded(row.reserved), row.cap});
    bill.total = total;
  }
  return bill;
}

Status Costs::list_jobs(const Principal& caller, const v1::ListJobCostsRequest& request, Time now,
                        v1::ListJobCostsResponse& out) const {
  JobName of;
  if (!request.job().empty()) {
    auto job = find_any_job(views_, store_.history(), caller, request.job());
    if (!job) return job.error();
    of = {(*job)->project, (*job)->name};
  } else {
    auto project =
        visible_parent(views_, caller, request.parent().empty() ? "projects/-" : request.parent());
    if (!project) return project.error();
    of.project = std::move(*project);
  }
  // A token names the last job shown (job_queries.cpp tells why it is not a number).
  const std::string mark = "costs\n" + of.project + '\n' + of.job + '\n' + request.month();
  const auto page = read_page(request.page_size(), request.page_token(), mark);
  if (!page) return page.error();
  const auto bill = job_bill(of.project, of.job, request.month(), now);
  if (!bill) return bill.error();
  *out.mutable_total() = wire::to_proto(bill->total, bill->currency);
  bool shown_before = !page->after.empty();
  std::string last;
  for (const JobBill::Line& line : bill->lines) {
    const std::string key = line.project + '/' + line.name;
    if (shown_before) {
      shown_before = key != page->after;
      continue;
    }
    if (out.jobs_size() == page->size) {
      out.set_next_page_token(page_token(mark, last));
      break;
    }
    v1::JobCost& cost = *out.add_jobs();
    cost.set_job("projects/" + line.project + "/jobs/" + line.name);
    cost.set_state(v1::Job::State_Name(static_cast<int>(line.state)));
    *cost.mutable_charged() = wire::to_proto(line.charged, bill->currency);
    *cost.mutable_reserved() = wire::to_proto(line.reserved, bill->currency);
    if (line.cap) *cost.mutable_cap() = wire::to_proto(*line.cap, bill->currency);
    last = key;
  }
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
    *line.mutable_total() = wire::to_proto(line_total, currency);
    *line.mutable_jobs() = wire::to_proto(line_jobs, currency);
    *line.mutable_lost() = wire::to_proto(line_lost, currency);
    // The remainder, so that jobs + idle + lost = total in every line.
    *line.mutable_idle() = wire::to_proto(line_total - line_jobs - line_lost, currency);
    total = total + line_total;
    jobs = jobs + line_jobs;
    lost = lost + line_lost;
  }
  v1::MachineCost& all = *out.mutable_total();
  *all.mutable_total() = wire::to_proto(total, currency);
  *all.mutable_jobs() = wire::to_proto(jobs, currency);
  *all.mutable_lost() = wire::to_proto(lost, currency);
  *all.mutable_idle() = wire::to_proto(total - jobs - lost, currency);
  return Status::success();
}

Status Costs::fill_status(bool of_machines, const std::string& project, Time now,
                          v1::ClusterStatus& out) const {
  const std::string currency = views_.cluster()->prices.currency;
  const Time today = day_start(now);
  ledger::Charge month;
  ledger::Charge of_jobs;  // of `month`
  if (of_machines) {
    const auto rows = machines(store::month_of(now), now);
    if (!rows) return rows.error();
    for (const auto& [id, machine] : *rows) {
      month += machine.total;
      of_jobs += machine.jobs;
    }
  } else {
    store::CostQuery query;
    query.project = project;
    query.month = store::month_of(now);
    const auto rows = jobs(query, now);
    if (!rows) return rows.error();
    for (const auto& [id, row] : *rows) month += row.charged;
    of_jobs = month;
  }
  // After the month: that has let the store catch up.
  const auto closed = of_machines ? store_.history().machines_of_day(store::day_of(now))
                                  : store_.history().jobs_of_day(store::day_of(now), project);
  if (!closed) return closed.error();
  const auto waste = store_.history().waste_of_month(store::month_of(now), project);
  if (!waste) return waste.error();
  if (of_jobs > ledger::Charge{}) {
    // Spread evenly over its time, it may be a little more than was charged in that time.
    out.set_waste_fraction_month(
        std::min(1.0, static_cast<double>(waste->units) / static_cast<double>(of_jobs.units)));
  }
  ledger::Charge day = *closed;
  if (of_machines) {
    for (const auto& worker : views_.workers()) {
      day += part_since(worker->slice_from, now, open_machine(*worker, now), today);
    }
  } else {
    for (const auto& job : views_.jobs(project)) {
      day += part_since(job->open_from, now, job->open, today);
    }
  }
  *out.mutable_cost_today() = wire::to_proto(ledger::rounded(day), currency);
  *out.mutable_cost_month() = wire::to_proto(ledger::rounded(month), currency);
  return Status::success();
}

}  // namespace overwinter::runtime
