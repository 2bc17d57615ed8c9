// `--verify`: the projection built anew from the log, beside the old one, and the two compared row
// by row.

#include <algorithm>
#include <utility>

#include "coordinator/store/commit_witness.h"
#include "coordinator/store/data_folder.h"
#include "coordinator/store/projection.h"
#include "coordinator/store/store.h"
#include "coordinator/store/store_files.h"
#include "coordinator/store/wal_check.h"
#include "coordinator/wire/fact_codec.h"

namespace overwinter::store {
namespace {

constexpr std::size_t kDifferencesMax = 100;
constexpr std::size_t kTurnsPerFlush = 10'000;

// Removes what it was given, however verify_store() ends.
struct Removed {
  std::string path;
  explicit Removed(std::string file) : path(std::move(file)) { StoreFiles::remove_database(path); }
  ~Removed() { StoreFiles::remove_database(path); }
  Removed(const Removed&) = delete;
  Removed& operator=(const Removed&) = delete;
};

Status rebuild(Database& log, const CommitWitness& witness, const LogHead& mark,
               const std::string& path, VerifyReport& report) {
  auto fresh = Projection::open(path, {});
  if (!fresh) return fresh.error();
  const auto head = read_turns(log, LogHead{}, [&](const TurnRow& row) {
    if (Status status = witness.check_row(row); !status.ok()) return status;
    const auto turn = wire::decode_turn(row.bytes);
    if (!turn) return turn.error();
    ++report.turns;
    report.facts += turn->facts.size();
    if (row.sequence == mark.sequence && row.hash != mark.hash) return other_log(mark.sequence);
    if (row.sequence > mark.sequence) return Status::success();
    Status status = fresh->apply(row);
    if (status.ok() && fresh->turns_pending() >= kTurnsPerFlush) status = fresh->flush();
    return status;
  });
  if (!head) return head.error();
  if (head->sequence < mark.sequence) return log_lost_its_end(head->sequence, mark.sequence);
  if (Status status = witness.check_end(*head); !status.ok()) return status;
  return fresh->flush();
}

Status count_differences(Database& old, const std::string& table, VerifyReport& report) {
  const auto rows = old.query_integer("SELECT count(*) FROM main." + table);
  if (!rows) return rows.error();
  report.rows += static_cast<std::uint64_t>(*rows);
  const std::string changed = "SELECT count(*) FROM (SELECT * FROM main." + table +
                              " EXCEPT SELECT * FROM fresh." + table + ")";
  const std::string missing = "SELECT count(*) FROM (SELECT * FROM fresh." + table +
                              " EXCEPT SELECT * FROM main." + table + ")";
  const auto wrong = old.query_integer(changed);
  if (!wrong) return wrong.error();
  const auto absent = old.query_integer(missing);
  if (!absent) return absent.error();
  if ((*wrong != 0 || *absent != 0) && report.differences.size() < kDifferencesMax) {
    report.differences.push_back(table + ": " + std::to_string(*wrong) +
                                 " rows are not what the log says, " + std::to_string(*absent) +
                                 " rows of the log are missing or changed");
  }
  return Status::success();
}

// The watermark as it stands in the file, read without loading the rest: rows that do not load are
// differences, not the end.
Result<LogHead> watermark(Database& database) {
  auto select = database.prepare("SELECT sequence, hash FROM meta");
  if (!select) return fail(std::move(select.error()));
  const auto found = select->step();
  if (!found) return fail(found.error());
  LogHead out;
  if (!*found) return out;
  out.sequence = select->number(0);
  const std::string_view hash = select->blob(1);
  if (hash.size() != out.hash.bytes.size()) {
    return fail(Code::kDataLoss, "the projection's watermark is damaged");
  }
  std::copy(hash.begin(), hash.end(), out.hash.bytes.begin());
  return out;
}

}  // namespace

Result<VerifyReport> verify_store(const std::filesystem::path& folder) {
  const StoreFiles files(folder);
  if (!std::filesystem::exists(files.log)) {
    return fail(Code::kNotFound, "there is no store in " + folder.string(), "data");
  }
  const auto lock = FolderLock::take(folder);
  if (!lock) return fail(lock.error());
  if (Status status = check_wal(files.log + "-wal"); !status.ok()) return fail(std::move(status));
  const auto witness = CommitWitness::open(files.witness);
  if (!witness) return fail(witness.error());
  auto log = TurnLog::open(files.log, {});
  if (!log) return fail(std::move(log.error()));
  auto old = Database::open(files.projection, {});
  if (!old) return fail(std::move(old.error()));
  const auto mark = watermark(*old);
  if (!mark) return fail(mark.error());
  const Removed fresh(files.projection + ".verify");
  VerifyReport report;
  if (Status status = rebuild(log->database(), *witness, *mark, fresh.path, report); !status.ok()) {
    return fail(std::move(status));
  }
  const auto format = old->query_integer("PRAGMA user_version");
  if (!format) return fail(format.error());
  if (*format < kProjectionFormat)
    return report;  // of an earlier version: there is nothing to compare
  auto attach = old->prepare("ATTACH ? AS fresh");
  if (!attach) return fail(std::move(attach.error()));
  if (Status status = attach->bind_text(1, fresh.path).run(); !status.ok()) {
    return fail(std::move(status));
  }
  for (const std::string& table : projection_tables()) {
    if (Status status = count_differences(*old, table, report); !status.ok()) {
      return fail(std::move(status));
    }
  }
  return report;
}

}  // namespace overwinter::store
