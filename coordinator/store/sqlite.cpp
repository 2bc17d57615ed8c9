#include "coordinator/store/sqlite.h"

#include <sqlite3.h>

#include <utility>

#include "common/base/log.h"

namespace overwinter::store {
namespace {

constexpr int kBusyMs = 10'000;

Code code_of(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Code::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kUnavailable;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
      return Code::kDataLoss;
    default:
      return Code::kInternal;
  }
}

int note_wal_pages(void* pages, sqlite3*, const char*, int count) {
  *static_cast<std::int64_t*>(pages) = count;
  return SQLITE_OK;
}

}  // namespace

Status sqlite_status(sqlite3* database, int code, std::string_view doing) {
  std::string message = "cannot " + std::string(doing) + ": " + sqlite3_errstr(code);
  if (database != nullptr) {
    message += " (" + std::string(sqlite3_errmsg(database)) + ", code " +
               std::to_string(sqlite3_extended_errcode(database)) + ")";
  }
  return error(code_of(code), std::move(message));
}

// ---- Statement ----------------------------------------------------------------------------------

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement& Statement::bind(int place, std::int64_t value) {
  bind_error_ |= sqlite3_bind_int64(statement_.get(), place, value);
  return *this;
}

Statement& Statement::bind_text(int place, std::string_view value) {
  bind_error_ |= sqlite3_bind_text64(statement_.get(), place, value.data(), value.size(),
                                     SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int place, std::string_view value) {
  // A null pointer would bind NULL.
  const char* data = value.data() != nullptr ? value.data() : "";
  bind_error_ |= sqlite3_bind_blob64(statement_.get(), place, data, value.size(), SQLITE_TRANSIENT);
  return *this;
}

Result<bool> Statement::step() {
  sqlite3* database = sqlite3_db_handle(statement_.get());
  if (bind_error_ != 0) return fail(sqlite_status(database, bind_error_, "bind a value"));
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(sqlite_status(database, code, "run " + std::string(sqlite3_sql(statement_.get()))));
}

Status Statement::run() {
  const auto row = step();
  reset();
  return row ? Status::success() : row.error();
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_error_ = 0;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  if (data == nullptr || size <= 0) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

bool Statement::is_integer(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_INTEGER;
}

// ---- Database -----------------------------------------------------------------------------------

void Database::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Result<Database> Database::open(const std::string& path, const OpenOptions& options) {
  Database out;
  sqlite3* raw = nullptr;
  int flags = options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (options.create && !options.read_only) flags |= SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  out.database_.reset(raw);
  if (code != SQLITE_OK) return fail(sqlite_status(raw, code, "open " + path));
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, kBusyMs);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  // The last connection that closes would checkpoint and delete the WAL: a close is no place for
  // I/O that may fail unseen. Checkpoints are explicit.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(raw, 0);
  out.wal_pages_ = std::make_unique<std::int64_t>(0);
  sqlite3_wal_hook(raw, note_wal_pages, out.wal_pages_.get());
  if (!options.read_only) {
    auto mode = out.prepare("PRAGMA journal_mode=WAL");
    if (!mode) return fail(std::move(mode.error()));
    const auto row = mode->step();
    if (!row) return fail(row.error());
    if (!*row || mode->blob(0) != "wal") {
      return fail(Code::kInternal, "the file system of " + path + " does not carry a WAL");
    }
  }
  Status status =
      out.execute("PRAGMA cell_size_check=ON; PRAGMA foreign_keys=OFF; PRAGMA synchronous=" +
                  std::string(options.synchronous));
  if (!status.ok()) return fail(std::move(status));
  return out;
}

Result<Statement> Database::prepare(std::string_view sql) {
  Statement out;
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) {
    return fail(sqlite_status(database_.get(), code, "prepare " + std::string(sql)));
  }
  out.statement_.reset(raw);
  return out;
}

Status Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status::success() : sqlite_status(database_.get(), code, "run " + sql);
}

Result<std::int64_t> Database::query_integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(std::move(statement.error()));
  const auto row = statement->step();
  if (!row) return fail(row.error());
  if (!*row) return fail(Code::kInternal, "no row for " + std::string(sql));
  return statement->integer(0);
}

Result<std::int64_t> Database::checkpoint(std::string_view mode) {
  auto statement = prepare("PRAGMA wal_checkpoint(" + std::string(mode) + ")");
  if (!statement) return fail(std::move(statement.error()));
  const auto row = statement->step();
  if (!row) return fail(row.error());
  if (!*row || statement->integer(0) != 0) {
    return fail(Code::kUnavailable, "the WAL is in use; it is copied back later");
  }
  return statement->integer(1) - statement->integer(2);
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(database_.get()) == 0;
}

// ---- Transaction --------------------------------------------------------------------------------

Result<Transaction> Transaction::begin(Database& database) {
  if (Status status = database.execute("BEGIN IMMEDIATE"); !status.ok()) {
    return fail(std::move(status));
  }
  return Transaction(database);
}

Transaction::~Transaction() {
  // After a full disk SQLite may have rolled back already.
  if (database_ == nullptr || !database_->in_transaction()) return;
  if (const Status status = database_->execute("ROLLBACK"); !status.ok()) {
    log_error("a rollback failed: {}", status.message);
  }
}

Status Transaction::commit() {
  Status status = database_->execute("COMMIT");
  if (status.ok()) database_ = nullptr;
  return status;
}

}  // namespace overwinter::store
