#include "coordinator/store/history.h"

#include <algorithm>
#include <utility>

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
Result<ledger::Charge> sum_of(Statement& select, int columns, std::string_view table) {
  const auto rows = rows_of<ledger::Charge>(select, columns, table, [&](const Statement& row) {
    return Result<ledger::Charge>(charge_from(row.blob(columns - 1)));
  });
  if (!rows) return fail(rows.error());
  ledger::Charge sum;
  for (const ledger::Charge& part : *rows) sum += part;
  return sum;
}

Result<PastJob> past_job(const Statement& row) {
  auto job = wire::decode_job(row.blob(6));
  if (!job) return fail(std::move(job.error()));
  return PastJob{std::move(*job), row.integer(5) != 0};
}

std::int64_t limit(std::size_t max) {
  return static_cast<std::int64_t>(std::min(max, kPageMax));
}

constexpr const char* kJobColumns =
    "SELECT job, project, name, state, created_ms, forgotten, record, checksum FROM jobs ";

std::string jobs_where(const JobQuery& query) {
  std::string sql = "WHERE 1=1";
  if (!query.project.empty()) sql += " AND project = ?1";
  if (query.state) sql += " AND state = ?2";
  if (query.forgotten_only) sql += " AND forgotten = 1";
  return sql;
}

void bind_where(const JobQuery& query, Statement& select) {
  if (!query.project.empty()) select.bind_text(1, query.project);
  if (query.state) select.bind(2, std::int64_t{static_cast<int>(*query.state)});
}

std::string jobs_sql(const JobQuery& query) {
  std::string sql = kJobColumns + jobs_where(query);
  const char* way = query.newest_first ? "<" : ">";
  if (query.after) sql += std::string(" AND (created_ms, job) ") + way + " (?3, ?4)";
  const char* order = query.newest_first ? " DESC" : "";
  sql += std::string(" ORDER BY created_ms") + order + ", job" + order + " LIMIT ?5";
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
  auto found = rows_of<PastJob>(*select, 7, "jobs", past_job);
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
  if (query.after) select->bind(3, unix_ms(query.after->created)).bind(4, query.after->job.value());
  select->bind(5, limit(query.max));
  auto found = rows_of<PastJob>(*select, 7, "jobs", past_job);
  if (!found) return found;
  for (PastJob& past : *found) {
    if (Status status = add_bytes(past); !status.ok()) return fail(std::move(status));
  }
  return found;
}

Result<std::optional<core::JobState>> SqliteHistory::state_of(JobId job) {
  MutexLock lock(mutex_);
  auto select = database_.prepare(std::string(kJobColumns) + "WHERE job = ?");
  if (!select) return fail(std::move(select.error()));
  select->bind(1, job.value());
  const auto found = rows_of<PastJob>(*select, 7, "jobs", past_job);
  if (!found) return fail(found.error());
  if (found->empty()) return std::optional<core::JobState>();
  return std::optional(found->front().job.state);
}

Result<std::uint64_t> SqliteHistory::count_jobs(const JobQuery& query) {
  MutexLock lock(mutex_);
  auto select = database_.prepare("SELECT count(*) FROM jobs " + jobs_where(query));
  if (!select) return fail(std::move(select.error()));
  bind_where(query, *select);
  const auto found = select->step();
  if (!found) return fail(found.error());
  return *found ? select->number(0) : 0;
}

Result<std::vector<UsageSlice>> SqliteHistory::usage(JobId job, std::size_t max) {
  MutexLock lock(mutex_);
  auto select = database_.prepare("SELECT * FROM usage WHERE job = ? ORDER BY turn, place LIMIT ?");
  if (!select) return fail(std::move(select.error()));
  select->bind(1, job.value()).bind(2, limit(max));
  return rows_of<UsageSlice>(*select, 11, "usage", [](const Statement& row) -> Result<UsageSlice> {
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
      "SELECT j.job, j.project, j.name, j.state, j.created_ms, j.forgotten, j.record, j.checksum";
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
  return rows_of<JobCostRow>(*select, 7, "jobs", [&](const Statement& row) -> Result<JobCostRow> {
    auto job = wire::decode_job(row.blob(6));
    if (!job) return fail(std::move(job.error()));
    ledger::Charge charged = job->charged;
    if (monthly) {
      RowSum sum;
      sum.add(row.blob(8));
      sum.add(row.integer(9));
      sum.add(row.blob(10));
      if (sum.value() != row.integer(11)) {
        return fail(Code::kDataLoss, "a row of job_months in the projection is damaged");
      }
      charged = charge_from(row.blob(10));
    }
    return JobCostRow{job->id, std::move(job->project), std::move(job->name), job->state,
                      charged, job->reserved,           job->demand.cap};
  });
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
  return sum_of(*select, 3, "job_days");
}

Result<ledger::Charge> SqliteHistory::machines_of_day(const std::string& day) {
  MutexLock lock(mutex_);
  auto select = database_.prepare("SELECT * FROM machine_days WHERE day = ?");
  if (!select) return fail(std::move(select.error()));
  select->bind_text(1, day);
  return sum_of(*select, 2, "machine_days");
}

Result<std::vector<AuditLine>> SqliteHistory::audit(const AuditQuery& query) {
  MutexLock lock(mutex_);
  std::string sql = "SELECT * FROM audit WHERE 1=1";
  if (query.since) sql += " AND time_ms >= ?1";
  if (query.before) sql += " AND (turn, place) < (?2, ?3)";
  sql += " ORDER BY turn DESC, place DESC LIMIT ?4";
  auto select = database_.prepare(sql);
  if (!select) return fail(std::move(select.error()));
  if (query.since) select->bind(1, unix_ms(*query.since));
  if (query.before) {
    select->bind(2, query.before->first).bind(3, std::int64_t{query.before->second});
  }
  select->bind(4, limit(query.max));
  return rows_of<AuditLine>(*select, 7, "audit", [](const Statement& row) -> Result<AuditLine> {
    return AuditLine{row.number(0),
                     static_cast<std::uint32_t>(row.number(1)),
                     time_from_unix_ms(row.integer(2)),
                     row.number(3),
                     row.text(4),
                     row.text(5),
                     row.text(6)};
  });
}

}  // namespace overwinter::store
