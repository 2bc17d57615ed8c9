#include "coordinator/store/history.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "coordinator/store/job_rows.h"
#include "coordinator/store/row.h"
#include "coordinator/store/sqlite_history.h"
#include "coordinator/wire/record_codec.h"

namespace overwinter::store {
namespace {

// All columns of a select's row that are none of the checked row's come behind its checksum.
template <class Row, class Make>
Result<std::vector<Row>> rows_of(Statement& select, int columns, std::string_view table,
                                 Make make) {
  std::vector<Row> out;
  for (;;) {
    const auto found = select.step();
    if (!found) return fail(found.error());
    if (!*found) return out;
    if (Status status = check_row(select, columns, table); !status.ok()) {
      return fail(std::move(status));
    }
    auto row = make(select);
    if (!row) return fail(std::move(row.error()));
    out.push_back(std::move(*row));
  }
}

// The sum of the last column but the checksum.
Result<ledger::Charge> sum_of_charges(Statement& select, int columns, std::string_view table) {
  const auto rows = rows_of<ledger::Charge>(select, columns, table, [&](const Statement& row) {
    return Result<ledger::Charge>(charge_from(row.blob(columns - 1)));
  });
  if (!rows) return fail(rows.error());
  ledger::Charge sum;
  for (const ledger::Charge& part : *rows) sum += part;
  return sum;
}

Result<UsageSlice> usage_slice(const Statement& row) {
  UsageSlice out;
  out.seat = {JobId(row.number(2)), static_cast<AttemptNumber>(row.number(3)),
              static_cast<std::uint32_t>(row.number(4))};
  out.worker = WorkerId(row.number(5));
  out.from = time_from_unix_ms(row.integer(6));
  out.to = time_from_unix_ms(row.integer(7));
  out.used = Duration(row.integer(8));
  out.device_price_per_hour = Money{row.integer(9)};
  out.charge = charge_from(row.blob(10));
  return out;
}

// Slices are kept by the turn that closed them, and there is no index of their times: from the last
// turn back to one that closed a slice which ended well before. Well, since a lease may have ended
// some time before it was closed.
constexpr Duration kClosedWithin = std::chrono::hours(1);
std::string since_sql(const std::string& table) {
  return "SELECT * FROM " + table + " WHERE turn > coalesce((SELECT turn FROM " + table +
         " WHERE to_ms < ?1 ORDER BY turn DESC, place DESC LIMIT 1), -1) AND to_ms >= ?2 "
         "ORDER BY turn DESC, place DESC LIMIT ?3";
}
void bind_since(Time since, std::size_t max, Statement& select) {
  select.bind(1, unix_ms(since - kClosedWithin)).bind(2, unix_ms(since));
  select.bind(3, static_cast<std::int64_t>(max));
}

std::int64_t limit(std::size_t max) {
  return static_cast<std::int64_t>(std::min(max, kPageMax));
}

const char* order_column(JobOrder order) {
  switch (order) {
    case JobOrder::kCreated:
      return "created_ms";
    case JobOrder::kEnded:
      return "ended_ms";
    case JobOrder::kState:
      return "state";
    case JobOrder::kCost:
      return "charged";
    case JobOrder::kName:
      return "name";
  }
  return "created_ms";
}

std::string jobs_sql(const JobQuery& query) {
  std::string sql = kJobColumns + jobs_where(query);
  const std::string column = order_column(query.order);
  const char* way = query.descending ? "<" : ">";
  if (query.after) sql += " AND (" + column + ", job) " + way + " (?3, ?4)";
  const char* order = query.descending ? " DESC" : "";
  sql += " ORDER BY " + column + order + ", job" + order + " LIMIT ?5";
  return sql;
}

}  // namespace

std::string month_of(Time time) {
  return format_time(time).substr(0, 7);
}

std::string day_of(Time time) {
  return format_time(time).substr(0, 10);
}

std::vector<Money> rounded_lines(std::span<const ledger::Charge> charges) {
  std::vector<Money> out;
  out.reserve(charges.size());
  ledger::Charge total;
  Money shown;
  for (const ledger::Charge& charge : charges) {
    total += charge;
    const Money next = ledger::rounded(total);
    out.push_back(next - shown);
    shown = next;
  }
  return out;
}

Result<std::unique_ptr<SqliteHistory>> SqliteHistory::open(const std::string& path,
                                                           const std::string& vfs) {
  auto database = Database::open(path, {.vfs = vfs, .create = false, .read_only = true});
  if (!database) return fail(std::move(database.error()));
  return std::unique_ptr<SqliteHistory>(new SqliteHistory(std::move(*database)));
}

Status SqliteHistory::add_bytes(PastJob& past) {
  auto select = database_.prepare("SELECT job, spec, plan, checksum FROM job_bytes WHERE job = ?");
  if (!select) return select.error();
  select->bind(1, past.job.id.value());
  const auto found = select->step();
  if (!found) return found.error();
  if (!*found) return error(Code::kDataLoss, "a job's specification is missing in the projection");
  if (Status status = check_row(*select, 3, "job_bytes"); !status.ok()) return status;
  past.job.spec = std::make_shared<const std::string>(select->text(1));
  past.job.plan = std::make_shared<const std::string>(select->text(2));
  return Status::success();
}

Result<std::optional<PastJob>> SqliteHistory::job(std::string_view project, std::string_view name) {
  MutexLock lock(mutex_);
  auto select = database_.prepare(std::string(kJobColumns) +
                                  "WHERE project = ? AND name = ? "
                                  "ORDER BY job DESC LIMIT 1");
  if (!select) return fail(std::move(select.error()));
  select->bind_text(1, project).bind_text(2, name);
  auto found = rows_of<PastJob>(*select, kJobRecord + 1, "jobs", past_job);
  if (!found) return fail(std::move(found.error()));
  if (found->empty()) return std::optional<PastJob>();
  if (Status status = add_bytes(found->front()); !status.ok()) return fail(std::move(status));
  return std::optional<PastJob>(std::move(found->front()));
}

Result<std::vector<PastJob>> SqliteHistory::jobs(const JobQuery& query) {
  MutexLock lock(mutex_);
  auto select = database_.prepare(jobs_sql(query));
  if (!select) return fail(std::move(select.error()));
  bind_where(query, *select);
  if (query.after) {
    if (query.order == JobOrder::kName) {
      select->bind_text(3, query.after->text);
    } else {
      select->bind(3, query.after->number);
    }
    select->bind(4, query.after->job.value());
  }
  select->bind(5, limit(query.max));
  auto found = rows_of<PastJob>(*select, kJobRecord + 1, "jobs", past_job);
  if (!found) return found;
  for (PastJob& past : *found) {
    if (Status status = add_bytes(past); !status.ok()) return fail(std::move(status));
  }
  return found;
}

Result<std::optional<core::JobState>> SqliteHistory::state_of(JobId job) {
  const auto past = record(job);
  if (!past) return fail(past.error());
  if (!*past) return std::optional<core::JobState>();
  return std::optional((*past)->job.state);
}

Result<std::optional<PastJob>> SqliteHistory::record(JobId job) {
  MutexLock lock(mutex_);
  auto select = database_.prepare(std::string(kJobColumns) + "WHERE job = ?");
  if (!select) return fail(std::move(select.error()));
  select->bind(1, job.value());
  auto found = rows_of<PastJob>(*select, kJobRecord + 1, "jobs", past_job);
  if (!found) return fail(std::move(found.error()));
  if (found->empty()) return std::optional<PastJob>();
  return std::optional(std::move(found->front()));
}

Result<std::vector<UsageSlice>> SqliteHistory::usage(JobId job, std::size_t max) {
  MutexLock lock(mutex_);
  auto select = database_.prepare("SELECT * FROM usage WHERE job = ? ORDER BY turn, place LIMIT ?");
  if (!select) return fail(std::move(select.error()));
  select->bind(1, job.value()).bind(2, limit(max));
  return rows_of<UsageSlice>(*select, 11, "usage", usage_slice);
}

Result<std::vector<UsageSlice>> SqliteHistory::usage_since(Time since, std::size_t max) {
  MutexLock lock(mutex_);
  auto select = database_.prepare(since_sql("usage"));
  if (!select) return fail(std::move(select.error()));
  bind_since(since, max, *select);
  return rows_of<UsageSlice>(*select, 11, "usage", usage_slice);
}

Result<std::vector<MachineSlice>> SqliteHistory::machine_slices_since(Time since, std::size_t max) {
  MutexLock lock(mutex_);
  auto select = database_.prepare(since_sql("machine_slices"));
  if (!select) return fail(std::move(select.error()));
  bind_since(since, max, *select);
  return rows_of<MachineSlice>(
      *select, 8, "machine_slices", [](const Statement& row) -> Result<MachineSlice> {
        return MachineSlice{WorkerId(row.number(2)),           time_from_unix_ms(row.integer(3)),
                            time_from_unix_ms(row.integer(4)), charge_from(row.blob(5)),
                            charge_from(row.blob(6)),          charge_from(row.blob(7))};
      });
}

Result<std::vector<JobStep>> SqliteHistory::steps(JobId job, std::size_t max) {
  MutexLock lock(mutex_);
  auto select =
      database_.prepare("SELECT * FROM job_steps WHERE job = ? ORDER BY turn, place LIMIT ?");
  if (!select) return fail(std::move(select.error()));
  select->bind(1, job.value()).bind(2, limit(max));
  return rows_of<JobStep>(*select, 9, "job_steps", [](const Statement& row) -> Result<JobStep> {
    return JobStep{row.number(0),
                   time_from_unix_ms(row.integer(3)),
                   static_cast<core::JobState>(row.integer(4)),
                   static_cast<core::Cause>(row.integer(5)),
                   static_cast<AttemptNumber>(row.integer(6)),
                   row.text(7),
                   row.number(8)};
  });
}

Result<std::vector<JobCostRow>> SqliteHistory::job_costs(const CostQuery& query) {
  MutexLock lock(mutex_);
  std::string sql =
      "SELECT j.job, j.project, j.name, j.state, j.created_ms, j.ended_ms, j.charged, j.forgotten, "
      "j.record, j.checksum";
  if (query.month.empty()) {
    sql += " FROM jobs j WHERE 1=1";
  } else {
    sql +=
        ", m.month, m.job, m.charge, m.checksum FROM job_months m JOIN jobs j ON j.job = m.job "
        "WHERE m.month = ?1";
  }
  if (!query.project.empty()) sql += " AND j.project = ?2";
  if (!query.name.empty()) sql += " AND j.name = ?3";
  sql += " AND j.job > ?4 ORDER BY j.job LIMIT ?5";
  auto select = database_.prepare(sql);
  if (!select) return fail(std::move(select.error()));
  if (!query.month.empty()) select->bind_text(1, query.month);
  if (!query.project.empty()) select->bind_text(2, query.project);
  if (!query.name.empty()) select->bind_text(3, query.name);
  select->bind(4, query.after ? query.after->value() : std::uint64_t{0});
  select->bind(5, limit(query.max));
  const bool monthly = !query.month.empty();
  constexpr int kColumns = kJobRecord + 1;
  const auto to_row = [&](const Statement& row) -> Result<JobCostRow> {
    auto job = wire::decode_job(row.blob(kJobRecord));
    if (!job) return fail(std::move(job.error()));
    ledger::Charge charged = job->charged;
    if (monthly) {
      RowSum sum;
      sum.add(row.blob(kColumns + 1));
      sum.add(row.integer(kColumns + 2));
      sum.add(row.blob(kColumns + 3));
      if (sum.value() != row.integer(kColumns + 4)) {
        return fail(Code::kDataLoss, "a row of job_months in the projection is damaged");
      }
      charged = charge_from(row.blob(kColumns + 3));
    }
    return JobCostRow{job->id, std::move(job->project), std::move(job->name), job->state,
                      charged, job->reserved,           job->demand.cap};
  };
  return rows_of<JobCostRow>(*select, kColumns, "jobs", to_row);
}

Result<std::vector<MachineCostRow>> SqliteHistory::machine_costs(const std::string& month) {
  MutexLock lock(mutex_);
  auto workers =
      database_.prepare("SELECT worker, name, record, checksum FROM workers ORDER BY worker");
  if (!workers) return fail(std::move(workers.error()));
  auto out = rows_of<MachineCostRow>(
      *workers, 3, "workers", [](const Statement& row) -> Result<MachineCostRow> {
        auto worker = wire::decode_worker(row.blob(2));
        if (!worker) return fail(std::move(worker.error()));
        return MachineCostRow{worker->id, worker->name, worker->total, worker->jobs, worker->lost};
      });
  if (!out || month.empty()) return out;
  auto months = database_.prepare("SELECT * FROM machine_months WHERE month = ? ORDER BY worker");
  if (!months) return fail(std::move(months.error()));
  months->bind_text(1, month);
  auto rows = rows_of<MachineCostRow>(*months, 5, "machine_months",
                                      [](const Statement& row) -> Result<MachineCostRow> {
                                        return MachineCostRow{WorkerId(row.number(1)),
                                                              {},
                                                              charge_from(row.blob(2)),
                                                              charge_from(row.blob(3)),
                                                              charge_from(row.blob(4))};
                                      });
  if (!rows) return rows;
  for (MachineCostRow& row : *rows) {
    const auto named = std::find_if(out->begin(), out->end(), [&](const MachineCostRow& worker) {
      return worker.worker == row.worker;
    });
    if (named != out->end()) row.name = named->name;
  }
  return rows;
}

Result<ledger::Charge> SqliteHistory::jobs_of_day(const std::string& day,
                                                  const std::string& project) {
  MutexLock lock(mutex_);
  auto select =
      database_.prepare(project.empty() ? "SELECT * FROM job_days WHERE day = ?"
                                        : "SELECT * FROM job_days WHERE day = ? AND project = ?");
  if (!select) return fail(std::move(select.error()));
  select->bind_text(1, day);
  if (!project.empty()) select->bind_text(2, project);
  return sum_of_charges(*select, 3, "job_days");
}

Result<ledger::Charge> SqliteHistory::waste_of_month(const std::string& month,
                                                     const std::string& project) {
  MutexLock lock(mutex_);
  auto select = database_.prepare(
      project.empty() ? "SELECT * FROM waste_months WHERE month = ?"
                      : "SELECT * FROM waste_months WHERE month = ? AND project = ?");
  if (!select) return fail(std::move(select.error()));
  select->bind_text(1, month);
  if (!project.empty()) select->bind_text(2, project);
  return sum_of_charges(*select, 3, "waste_months");
}

Result<ledger::Charge> SqliteHistory::machines_of_day(const std::string& day) {
  MutexLock lock(mutex_);
  auto select = database_.prepare("SELECT * FROM machine_days WHERE day = ?");
  if (!select) return fail(std::move(select.error()));
  select->bind_text(1, day);
  return sum_of_charges(*select, 2, "machine_days");
}

}  // namespace overwinter::store
