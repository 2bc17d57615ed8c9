// SQLite behind owners and Status. Included by this room's files alone; sqlite3.h stays in the
// .cpp. A Database and its Statements belong to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace overwinter::store {

// The codes a caller may act on: kResourceExhausted (the disk is full: nothing was changed, it may
// be tried again), kUnavailable (locked by another process), kDataLoss (an I/O error, a failed sync
// or a damaged file: nothing may be assumed of what was not durable, the process ends), else
// kInternal (a bug).
[[nodiscard]] Status sqlite_status(sqlite3* database, int code, std::string_view doing);

// A prepared statement. Bind by place (from 1), step until false, then reset.
class Statement {
 public:
  Statement() = default;
  Statement& bind(int place, std::int64_t value);
  Statement& bind(int place, std::uint64_t value) {
    return bind(place, static_cast<std::int64_t>(value));
  }
  Statement& bind_text(int place, std::string_view value);
  Statement& bind_blob(int place, std::string_view value);

  // True: a row is there. False: done.
  [[nodiscard]] Result<bool> step();
  // For statements without rows; resets afterwards.
  Status run();
  void reset();

  // Of the row that step() found. Views live until the next step() or reset().
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t number(int column) const {
    return static_cast<std::uint64_t>(integer(column));
  }
  [[nodiscard]] std::string_view blob(int column) const;  // of a text column too
  [[nodiscard]] std::string text(int column) const { return std::string(blob(column)); }
  [[nodiscard]] bool is_integer(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_error_ = 0;
};

struct OpenOptions {
  std::string vfs;  // empty: the system's
  bool create = true;
  bool read_only = false;
  std::string_view synchronous = "FULL";  // FULL, NORMAL
};

class Database {
 public:
  Database() = default;
  // In WAL mode, without automatic checkpoints, defensive, hardened against a damaged file.
  [[nodiscard]] static Result<Database> open(const std::string& path, const OpenOptions& options);

  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  // One or several statements without rows.
  Status execute(const std::string& sql);
  // One integer of one row.
  [[nodiscard]] Result<std::int64_t> query_integer(std::string_view sql);
  // Runs `PRAGMA wal_checkpoint(mode)`; kUnavailable when readers or a writer kept it from
  // finishing. Returns the frames that are left in the WAL.
  Result<std::int64_t> checkpoint(std::string_view mode);
  [[nodiscard]] bool in_transaction() const;
  // Pages in the WAL after this connection's last commit.
  [[nodiscard]] std::int64_t wal_pages() const { return wal_pages_ ? *wal_pages_ : 0; }
  [[nodiscard]] explicit operator bool() const { return database_ != nullptr; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::unique_ptr<std::int64_t> wal_pages_;  // SQLite writes to it: it does not move, and outlives
  std::unique_ptr<sqlite3, Close> database_;
};

// BEGIN IMMEDIATE … COMMIT; rolls back when it goes out of scope without commit().
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace overwinter::store
