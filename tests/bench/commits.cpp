#include "tests/bench/commits.h"

#include <sqlite3.h>

#include <chrono>
#include <filesystem>

#include "coordinator/store/turn_log.h"

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;

// About what the turn of a submit is long.
constexpr std::size_t kTurnBytes = 1000;
// As the coordinator's store copies its WAL back.
constexpr std::int64_t kWalPages = 4096;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

}  // namespace

struct TurnCommits::Impl {
  explicit Impl(store::TurnLog turn_log) : log(std::move(turn_log)) {
    facts.emplace_back(core::ProjectCreated{std::string(kTurnBytes, 'p'), 1});
  }
  store::TurnLog log;
  std::vector<core::Fact> facts;
  std::int64_t now = 0;
};

TurnCommits::TurnCommits() = default;
TurnCommits::~TurnCommits() = default;

Result<std::unique_ptr<TurnCommits>> TurnCommits::open(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  auto log = store::TurnLog::open(folder + "/log.db", {});
  if (!log) return fail(log.error());
  std::unique_ptr<TurnCommits> out(new TurnCommits());
  out->impl_ = std::make_unique<Impl>(std::move(*log));
  return out;
}

Result<double> TurnCommits::commit(std::size_t turns) {
  if (impl_->log.database().wal_pages() > kWalPages) {
    if (Status copied = impl_->log.truncate_wal(); !copied.ok()) return fail(copied);
  }
  std::vector<store::TurnRef> refs;
  for (std::size_t i = 0; i < turns; ++i) {
    refs.push_back({Time(Duration(++impl_->now)), impl_->facts});
  }
  const auto begin = Clock::now();
  if (Status done = impl_->log.append(refs); !done.ok()) return fail(done);
  return milliseconds_since(begin);
}

struct PlainCommits::Impl {
  sqlite3* database = nullptr;
  sqlite3_stmt* insert = nullptr;
  const std::string row = std::string(kTurnBytes + 100, 'p');

  ~Impl() {
    sqlite3_finalize(insert);
    sqlite3_close(database);
  }
  bool execute(const char* sql) const {
    return sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK;
  }
};

PlainCommits::PlainCommits() : impl_(std::make_unique<Impl>()) {}
PlainCommits::~PlainCommits() = default;

Result<std::unique_ptr<PlainCommits>> PlainCommits::open(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  std::unique_ptr<PlainCommits> out(new PlainCommits());
  Impl& it = *out->impl_;
  const bool ready =
      sqlite3_open((folder + "/plain.db").c_str(), &it.database) == SQLITE_OK &&
      it.execute(
          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
          "PRAGMA wal_autocheckpoint=4096; CREATE TABLE t(n INTEGER PRIMARY KEY, b BLOB);") &&
      sqlite3_prepare_v2(it.database, "INSERT INTO t(b) VALUES(?)", -1, &it.insert, nullptr) ==
          SQLITE_OK;
  if (!ready) return fail(Code::kInternal, "plain SQLite cannot be opened in " + folder);
  return out;
}

Result<double> PlainCommits::commit(std::size_t rows) {
  Impl& it = *impl_;
  const auto begin = Clock::now();
  bool done = it.execute("BEGIN IMMEDIATE");
  for (std::size_t i = 0; i < rows && done; ++i) {
    done = sqlite3_bind_blob(it.insert, 1, it.row.data(), static_cast<int>(it.row.size()),
                             SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_step(it.insert) == SQLITE_DONE;
    sqlite3_reset(it.insert);
  }
  done = done && it.execute("COMMIT");
  if (!done) return fail(Code::kInternal, "plain SQLite cannot commit");
  return milliseconds_since(begin);
}

Result<std::uint64_t> last_turn(const std::string& store_folder) {
  store::OpenOptions options;
  options.create = false;
  options.read_only = true;
  auto log = store::Database::open(store_folder + "/log.db", options);
  if (!log) return fail(log.error());
  const auto number = log->query_integer("SELECT coalesce(max(sequence), 0) FROM turns");
  if (!number) return fail(number.error());
  return static_cast<std::uint64_t>(*number);
}

}  // namespace overwinter::bench
