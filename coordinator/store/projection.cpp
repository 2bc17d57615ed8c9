#include "coordinator/store/projection.h"

#include <utility>

#include "coordinator/store/projection_impl.h"
#include "coordinator/wire/record_codec.h"

namespace overwinter::store {
namespace {

// Every table ends with the checksum of its row (row.h).
constexpr const char* kSchema = R"(
CREATE TABLE meta (id INTEGER PRIMARY KEY, sequence INTEGER, hash BLOB, time_ms INTEGER,
                   cluster BLOB, checksum INTEGER) STRICT;
CREATE TABLE jobs (job INTEGER PRIMARY KEY, project TEXT, name TEXT, state INTEGER,
                   created_ms INTEGER, ended_ms INTEGER, charged INTEGER, forgotten INTEGER,
                   record BLOB, checksum INTEGER) STRICT;
CREATE INDEX jobs_by_name ON jobs (project, name);
CREATE INDEX jobs_by_project ON jobs (project, created_ms, job);
CREATE INDEX jobs_by_time ON jobs (created_ms, job);
CREATE INDEX jobs_living ON jobs (job) WHERE forgotten = 0;
CREATE INDEX jobs_gone ON jobs (project, created_ms, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_time ON jobs (created_ms, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_ended ON jobs (ended_ms, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_state ON jobs (state, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_charged ON jobs (charged, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_name ON jobs (name, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_of_ended ON jobs (project, ended_ms, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_of_state ON jobs (project, state, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_of_charged ON jobs (project, charged, job) WHERE forgotten = 1;
CREATE INDEX jobs_gone_of_name ON jobs (project, name, job) WHERE forgotten = 1;
CREATE TABLE job_bytes (job INTEGER PRIMARY KEY, spec BLOB, plan BLOB, checksum INTEGER) STRICT;
CREATE TABLE workers (worker INTEGER PRIMARY KEY, name TEXT, record BLOB, checksum INTEGER) STRICT;
CREATE TABLE tokens (token INTEGER PRIMARY KEY, record BLOB, checksum INTEGER) STRICT;
CREATE TABLE join_files (join_file INTEGER PRIMARY KEY, record BLOB, checksum INTEGER) STRICT;
CREATE TABLE projects (project TEXT PRIMARY KEY, record BLOB, checksum INTEGER) STRICT;
CREATE TABLE usage (turn INTEGER, place INTEGER, job INTEGER, attempt INTEGER, seat INTEGER,
                    worker INTEGER, from_ms INTEGER, to_ms INTEGER, used_ms INTEGER,
                    price_micros INTEGER, charge BLOB, checksum INTEGER,
                    PRIMARY KEY (turn, place)) STRICT;
CREATE INDEX usage_by_job ON usage (job, turn, place);
CREATE TABLE job_months (month TEXT, job INTEGER, charge BLOB, checksum INTEGER,
                         PRIMARY KEY (month, job)) STRICT;
CREATE TABLE machine_slices (turn INTEGER, place INTEGER, worker INTEGER, from_ms INTEGER,
                             to_ms INTEGER, total BLOB, jobs BLOB, lost BLOB, checksum INTEGER,
                             PRIMARY KEY (turn, place)) STRICT;
CREATE TABLE machine_months (month TEXT, worker INTEGER, total BLOB, jobs BLOB, lost BLOB,
                             checksum INTEGER, PRIMARY KEY (month, worker)) STRICT;
CREATE TABLE job_days (day TEXT, project TEXT, charge BLOB, checksum INTEGER,
                       PRIMARY KEY (day, project)) STRICT;
CREATE TABLE waste_months (month TEXT, project TEXT, charge BLOB, checksum INTEGER,
                           PRIMARY KEY (month, project)) STRICT;
CREATE TABLE machine_days (day TEXT PRIMARY KEY, total BLOB, checksum INTEGER) STRICT;
CREATE TABLE job_steps (turn INTEGER, place INTEGER, job INTEGER, time_ms INTEGER, state INTEGER,
                        cause INTEGER, attempt INTEGER, reason TEXT, actor INTEGER,
                        checksum INTEGER, PRIMARY KEY (turn, place)) STRICT;
CREATE INDEX job_steps_by_job ON job_steps (job, turn, place);
CREATE TABLE audit (number INTEGER PRIMARY KEY, turn INTEGER, place INTEGER, time_ms INTEGER,
                    project TEXT, project_number INTEGER, actor TEXT, actor_name TEXT, role TEXT,
                    action TEXT, object TEXT, was TEXT, became TEXT, reason TEXT,
                    checksum INTEGER) STRICT;
CREATE INDEX audit_by_project ON audit (project, project_number);
CREATE INDEX audit_by_actor ON audit (actor, number);
CREATE INDEX audit_by_object ON audit (object, number);
)";

Status create_schema(Database& database) {
  auto transaction = Transaction::begin(database);
  if (!transaction) return transaction.error();
  Status status = database.execute(
      "PRAGMA application_id=" + std::to_string(kProjectionApplicationId) +
      "; PRAGMA user_version=" + std::to_string(kProjectionFormat) + "; " + kSchema);
  return status.ok() ? transaction->commit() : status;
}

Status check_format(Database& database) {
  const auto tables = database.query_integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  if (*tables == 0) return create_schema(database);
  const auto application = database.query_integer("PRAGMA application_id");
  if (!application) return application.error();
  const auto format = database.query_integer("PRAGMA user_version");
  if (!format) return format.error();
  if (*application != kProjectionApplicationId || *format != kProjectionFormat) {
    return error(Code::kFailedPrecondition, "the projection has format " + std::to_string(*format) +
                                                "; this program writes format " +
                                                std::to_string(kProjectionFormat));
  }
  return Status::success();
}

// Calls `row` for each row of a select whose last column is the checksum.
template <class Row>
Status each_row(Database& database, std::string_view sql, int columns, std::string_view table,
                Row row) {
  auto select = database.prepare(sql);
  if (!select) return select.error();
  for (;;) {
    const auto found = select->step();
    if (!found) return found.error();
    if (!*found) return Status::success();
    if (Status status = check_row(*select, columns, table); !status.ok()) return status;
    if (Status status = row(*select); !status.ok()) return status;
  }
}

// Decodes column 1 of every row into `into`, by `key_of`.
template <class Map, class Decode, class KeyOf>
Status load_records(Database& database, const std::string& table, const std::string& key, Map& into,
                    Decode decode, KeyOf key_of) {
  return each_row(database,
                  "SELECT " + key + ", record, checksum FROM " + table + " ORDER BY " + key, 2,
                  table, [&](const Statement& row) {
                    auto record = decode(row.blob(1));
                    if (!record) return record.error();
                    auto id = key_of(*record);
                    into.insert_or_assign(std::move(id), std::move(*record));
                    return Status::success();
                  });
}

Status load_jobs(Database& database, core::ClusterState& state) {
  Status status = each_row(
      database,
      "SELECT job, project, name, state, created_ms, ended_ms, charged, forgotten, record, "
      "checksum FROM jobs WHERE forgotten = 0 ORDER BY job",
      9, "jobs", [&](const Statement& row) {
        auto job = wire::decode_job(row.blob(8));
        if (!job) return job.error();
        const JobId id = job->id;
        state.jobs_by_name[{job->project, job->name}] = id;
        if (!job->request_id.empty()) {
          state.jobs_by_request_id[{job->project, job->request_id}] = id;
        }
        state.jobs.insert_or_assign(id, std::move(*job));
        return Status::success();
      });
  if (!status.ok()) return status;
  return each_row(
      database,
      "SELECT b.job, b.spec, b.plan, b.checksum FROM job_bytes b JOIN jobs j ON j.job = b.job "
      "WHERE j.forgotten = 0",
      3, "job_bytes", [&](const Statement& row) {
        core::Job& job = state.jobs[JobId(row.number(0))];
        job.spec = std::make_shared<const std::string>(row.text(1));
        job.plan = std::make_shared<const std::string>(row.text(2));
        return Status::success();
      });
}

Status load_workers(Database& database, core::ClusterState& state) {
  return each_row(database, "SELECT worker, name, record, checksum FROM workers ORDER BY worker", 3,
                  "workers", [&](const Statement& row) {
                    auto worker = wire::decode_worker(row.blob(2));
                    if (!worker) return worker.error();
                    const WorkerId id = worker->id;
                    state.workers_by_key[worker->public_key] = id;
                    if (worker->state != core::WorkerState::kRemoved) {
                      state.workers_by_name[worker->name] = id;
                    }
                    state.workers.insert_or_assign(id, std::move(*worker));
                    return Status::success();
                  });
}

}  // namespace

const std::vector<std::string>& projection_tables() {
  static const std::vector<std::string> tables = {
      "meta",         "jobs",      "job_bytes",  "workers",        "tokens",         "join_files",
      "projects",     "usage",     "job_months", "machine_slices", "machine_months", "job_days",
      "machine_days", "job_steps", "audit",      "waste_months"};
  return tables;
}

Result<ProjectionStatements> ProjectionStatements::prepare(Database& database) {
  ProjectionStatements out;
  Status status;
  const auto add = [&](Statement& into, std::string_view sql) {
    if (!status.ok()) return;
    if (auto statement = database.prepare(sql)) {
      into = std::move(*statement);
    } else {
      status = statement.error();
    }
  };
  add(out.job, "INSERT OR REPLACE INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?)");
  add(out.job_bytes, "INSERT OR REPLACE INTO job_bytes VALUES (?,?,?,?)");
  add(out.worker, "INSERT OR REPLACE INTO workers VALUES (?,?,?,?)");
  add(out.token, "INSERT OR REPLACE INTO tokens VALUES (?,?,?)");
  add(out.join_file, "INSERT OR REPLACE INTO join_files VALUES (?,?,?)");
  add(out.project, "INSERT OR REPLACE INTO projects VALUES (?,?,?)");
  add(out.meta, "INSERT OR REPLACE INTO meta VALUES (?,?,?,?,?,?)");
  add(out.usage, "INSERT INTO usage VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");
  add(out.job_month, "INSERT OR REPLACE INTO job_months VALUES (?,?,?,?)");
  add(out.read_job_month, "SELECT * FROM job_months WHERE month = ? AND job = ?");
  add(out.machine_slice, "INSERT INTO machine_slices VALUES (?,?,?,?,?,?,?,?,?)");
  add(out.machine_month, "INSERT OR REPLACE INTO machine_months VALUES (?,?,?,?,?,?)");
  add(out.read_machine_month, "SELECT * FROM machine_months WHERE month = ? AND worker = ?");
  add(out.job_day, "INSERT OR REPLACE INTO job_days VALUES (?,?,?,?)");
  add(out.read_job_day, "SELECT * FROM job_days WHERE day = ? AND project = ?");
  add(out.waste_month, "INSERT OR REPLACE INTO waste_months VALUES (?,?,?,?)");
  add(out.read_waste_month, "SELECT * FROM waste_months WHERE month = ? AND project = ?");
  add(out.machine_day, "INSERT OR REPLACE INTO machine_days VALUES (?,?,?)");
  add(out.read_machine_day, "SELECT * FROM machine_days WHERE day = ?");
  add(out.step, "INSERT INTO job_steps VALUES (?,?,?,?,?,?,?,?,?,?)");
  add(out.audit, "INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  add(out.audit_last, "SELECT coalesce(max(number), 0) FROM audit");
  add(out.audit_last_of, "SELECT coalesce(max(project_number), 0) FROM audit WHERE project = ?");
  if (!status.ok()) return fail(std::move(status));
  return out;
}

Status Projection::Impl::load() {
  Status status =
      each_row(database, "SELECT id, sequence, hash, time_ms, cluster, checksum FROM meta", 5,
               "meta", [&](const Statement& row) {
                 const std::string_view hash = row.blob(2);
                 if (hash.size() != head.hash.bytes.size()) {
                   return error(Code::kDataLoss, "the projection's watermark is damaged");
                 }
                 head.sequence = row.number(1);
                 std::copy(hash.begin(), hash.end(), head.hash.bytes.begin());
                 head.time = time_from_unix_ms(row.integer(3));
                 return wire::decode_cluster(row.blob(4), state);
               });
  if (status.ok()) status = load_workers(database, state);
  if (status.ok()) status = load_jobs(database, state);
  if (status.ok()) {
    status = load_records(database, "tokens", "token", state.tokens, wire::decode_token,
                          [](const core::Token& token) { return token.id; });
  }
  if (status.ok()) {
    status =
        load_records(database, "join_files", "join_file", state.join_files, wire::decode_join_file,
                     [](const core::JoinFile& file) { return file.id; });
  }
  if (status.ok()) {
    status = load_records(database, "projects", "project", state.projects, wire::decode_project,
                          [](const core::Project& project) { return project.name; });
  }
  return status;
}

Status Projection::Impl::write_job(const core::Job& job, bool forgotten) {
  return RowWriter(statements.job)
      .number(job.id.value())
      .text(job.project)
      .text(job.name)
      .integer(static_cast<int>(job.state))
      .integer(unix_ms(job.created_at))
      .integer(job.ended_at ? unix_ms(*job.ended_at) : 0)
      .integer(ledger::rounded(job.charged).micros)
      .integer(forgotten ? 1 : 0)
      .blob(wire::encode_job(job))
      .run();
}

Status Projection::Impl::write_touched() {
  Status status;
  const auto also = [&](Status next) {
    if (status.ok()) status = std::move(next);
  };
  for (const JobId id : touched.jobs) {
    if (const core::Job* job = state.find_job(id)) also(write_job(*job, false));
  }
  for (const WorkerId id : touched.workers) {
    if (const core::Worker* worker = state.find_worker(id)) {
      also(RowWriter(statements.worker)
               .number(id.value())
               .text(worker->name)
               .blob(wire::encode_worker(*worker))
               .run());
    }
  }
  const auto records = [&](const auto& ids, const auto& map, Statement& into, auto encode) {
    for (const auto& id : ids) {
      const auto found = map.find(id);
      if (found == map.end()) continue;
      also(RowWriter(into).number(id.value()).blob(encode(found->second)).run());
    }
  };
  records(touched.tokens, state.tokens, statements.token, wire::encode_token);
  records(touched.join_files, state.join_files, statements.join_file, wire::encode_join_file);
  for (const std::string& name : touched.projects) {
    if (const auto found = state.projects.find(name); found != state.projects.end()) {
      also(
          RowWriter(statements.project).text(name).blob(wire::encode_project(found->second)).run());
    }
  }
  also(RowWriter(statements.meta)
           .integer(1)
           .number(head.sequence)
           .blob({reinterpret_cast<const char*>(head.hash.bytes.data()), head.hash.bytes.size()})
           .integer(unix_ms(head.time))
           .blob(wire::encode_cluster(state))
           .run());
  return status;
}

Projection::Projection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Projection::Projection(Projection&&) noexcept = default;
Projection& Projection::operator=(Projection&&) noexcept = default;
Projection::~Projection() = default;

Result<Projection> Projection::open(const std::string& path, const std::string& vfs) {
  // NORMAL: what a crash takes from it is derived again.
  auto database = Database::open(path, {.vfs = vfs, .synchronous = "NORMAL"});
  if (!database) return fail(std::move(database.error()));
  auto impl = std::make_unique<Impl>();
  impl->database = std::move(*database);
  if (Status status = check_format(impl->database); !status.ok()) return fail(std::move(status));
  auto statements = ProjectionStatements::prepare(impl->database);
  if (!statements) return fail(std::move(statements.error()));
  impl->statements = std::move(*statements);
  if (Status status = impl->load(); !status.ok()) return fail(std::move(status));
  return Projection(std::move(impl));
}

const LogHead& Projection::head() const {
  return impl_->head;
}
const core::ClusterState& Projection::state() const {
  return impl_->state;
}
std::size_t Projection::turns_pending() const {
  return impl_->turns_pending;
}

void Projection::drop_job_bytes() {
  impl_->keep_job_bytes = false;
  for (auto& [id, job] : impl_->state.jobs) {
    job.spec.reset();
    job.plan.reset();
  }
}

Status Projection::apply(const TurnRow& row) {
  if (impl_->broken) return error(Code::kInternal, "the projection failed before; open it again");
  impl_->broken = true;  // until this turn is in
  if (row.sequence != impl_->head.sequence + 1) {
    return error(Code::kInternal, "a turn is missing before turn " + std::to_string(row.sequence));
  }
  const auto turn = wire::decode_turn(row.bytes);
  if (!turn) return turn.error();
  if (turn->sequence != row.sequence || turn->time != row.time) {
    return error(Code::kDataLoss,
                 "turn " + std::to_string(row.sequence) + " does not say what its row says");
  }
  if (!impl_->transaction) {
    auto transaction = Transaction::begin(impl_->database);
    if (!transaction) return transaction.error();
    impl_->transaction.emplace(std::move(*transaction));
  }
  std::uint32_t place = 0;
  for (const core::Fact& fact : turn->facts) {
    if (Status status = project_fact(*impl_, row, place++, fact); !status.ok()) return status;
  }
  impl_->head = {row.sequence, row.hash, row.time};
  ++impl_->turns_pending;
  impl_->broken = false;
  return Status::success();
}

Status Projection::flush() {
  if (impl_->turns_pending == 0) return Status::success();
  if (impl_->broken) return error(Code::kInternal, "the projection failed before; open it again");
  Status status = impl_->write_touched();
  if (status.ok()) status = impl_->transaction->commit();
  impl_->broken = !status.ok();
  if (!status.ok()) return status;
  impl_->transaction.reset();
  impl_->touched.clear();
  impl_->turns_pending = 0;
  return status;
}

Status Projection::checkpoint() {
  const auto left = impl_->database.checkpoint("PASSIVE");
  return left ? Status::success() : left.error();
}

std::int64_t Projection::wal_pages() const {
  return impl_->database.wal_pages();
}

}  // namespace overwinter::store
