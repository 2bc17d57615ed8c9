#include "coordinator/store/turn_log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/security/encoding.h"
#include "coordinator/store/turn_chain.h"
#include "coordinator/wire/fact_codec.h"

namespace overwinter::store {
namespace {

constexpr const char* kLogSchema =
    "CREATE TABLE turns ("
    " sequence INTEGER PRIMARY KEY,"
    " time_ms INTEGER NOT NULL,"
    " turn BLOB NOT NULL,"
    " previous BLOB NOT NULL,"
    " hash BLOB NOT NULL"
    ") STRICT";

void add_hashed_number(std::string& out, std::uint64_t value) {
  for (int byte = 0; byte < 8; ++byte) {
    out.push_back(static_cast<char>((value >> (8 * byte)) & 0xff));
  }
}

std::string_view view(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

bool is(const Digest& digest, std::string_view bytes) {
  return view(digest) == bytes;
}

Status create_log_schema(Database& database) {
  auto transaction = Transaction::begin(database);
  if (!transaction) return transaction.error();
  // Several statements, one transaction: a crash leaves an empty file or a whole schema.
  Status status =
      database.execute("PRAGMA application_id=" + std::to_string(kLogApplicationId) +
                       "; PRAGMA user_version=" + std::to_string(kLogFormat) + "; " + kLogSchema);
  return status.ok() ? transaction->commit() : status;
}

Status check_log_format(Database& database) {
  const auto tables = database.query_integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  const auto application = database.query_integer("PRAGMA application_id");
  if (!application) return application.error();
  const auto format = database.query_integer("PRAGMA user_version");
  if (!format) return format.error();
  if (*tables == 0 && *application == 0 && *format == 0) return create_log_schema(database);
  if (*application != kLogApplicationId) {
    return error(Code::kFailedPrecondition, "the file is no log of a coordinator");
  }
  if (*format != kLogFormat) {
    return error(Code::kFailedPrecondition,
                 "the log has format " + std::to_string(*format) + "; this program reads format " +
                     std::to_string(kLogFormat),
                 "format", "start the program that wrote it");
  }
  return Status::success();
}

Status chain_broken(std::uint64_t turn, std::string_view what) {
  return error(Code::kDataLoss,
               "the log is damaged at turn " + std::to_string(turn) + ": " + std::string(what),
               "turn", "restore the newest backup");
}

}  // namespace

Digest turn_hash(const Digest& previous, std::uint64_t sequence, Time time,
                 std::string_view bytes) {
  std::string text;
  text.reserve(previous.bytes.size() + 16 + bytes.size());
  text += view(previous);
  add_hashed_number(text, sequence);
  add_hashed_number(text, static_cast<std::uint64_t>(unix_ms(time)));
  text += bytes;
  return sha256(text);
}

Result<TurnLog> TurnLog::open(const std::string& path, const TurnLogOptions& options) {
  auto database = Database::open(path, {.vfs = options.vfs, .synchronous = options.synchronous});
  if (!database) return fail(std::move(database.error()));
  TurnLog out;
  out.database_ = std::move(*database);
  if (Status status = check_log_format(out.database_); !status.ok()) return fail(std::move(status));
  if (Status status = out.truncate_wal(); !status.ok()) return fail(std::move(status));
  return out;
}

Status TurnLog::truncate_wal() {
  const auto left = database_.checkpoint("TRUNCATE");
  return left ? Status::success() : left.error();
}

Status TurnLog::append_row(Statement& insert, const TurnRef& turn, LogHead& head) {
  const std::uint64_t sequence = head.sequence + 1;
  const std::string bytes = wire::encode_turn(sequence, turn.time, turn.facts);
  const Digest hash = turn_hash(head.hash, sequence, turn.time, bytes);
  Status status = insert.bind(1, sequence)
                      .bind(2, unix_ms(turn.time))
                      .bind_blob(3, bytes)
                      .bind_blob(4, view(head.hash))
                      .bind_blob(5, view(hash))
                      .run();
  if (status.ok()) head = {sequence, hash, turn.time};
  return status;
}

Status TurnLog::append(std::span<const TurnRef> turns) {
  if (turns.empty()) return Status::success();
  if (broken_) return error(Code::kDataLoss, "the log failed before; a restart replays it");
  auto insert = database_.prepare("INSERT INTO turns VALUES (?, ?, ?, ?, ?)");
  if (!insert) return insert.error();
  LogHead head = head_;
  Status status;
  if (auto transaction = Transaction::begin(database_)) {
    for (const TurnRef& turn : turns) {
      status = append_row(*insert, turn, head);
      if (!status.ok()) break;
    }
    if (status.ok()) status = transaction->commit();
  } else {
    status = transaction.error();
  }
  if (status.ok()) {
    head_ = head;
  } else if (status.code != Code::kResourceExhausted) {
    broken_ = true;
  }
  return status;
}

Result<LogHead> read_turns(Database& database, const LogHead& from,
                           const std::function<Status(const TurnRow&)>& row) {
  return read_some_turns(database, from, std::numeric_limits<std::int64_t>::max(), row);
}

Result<LogHead> read_some_turns(Database& database, const LogHead& from, std::uint64_t turns_max,
                                const std::function<Status(const TurnRow&)>& row) {
  auto select = database.prepare(
      "SELECT sequence, time_ms, turn, previous, hash FROM turns WHERE sequence > ? ORDER BY "
      "sequence LIMIT ?");
  if (!select) return fail(std::move(select.error()));
  select->bind(1, from.sequence).bind(2, turns_max);
  LogHead head = from;
  for (;;) {
    const auto found = select->step();
    if (!found) return fail(found.error());
    if (!*found) return head;
    TurnRow turn;
    turn.sequence = select->number(0);
    turn.time = time_from_unix_ms(select->integer(1));
    turn.bytes = select->blob(2);
    if (turn.sequence != head.sequence + 1) {
      return fail(chain_broken(head.sequence + 1, "it is missing"));
    }
    if (!is(head.hash, select->blob(3))) {
      return fail(chain_broken(turn.sequence, "it does not follow the turn before it"));
    }
    turn.hash = turn_hash(head.hash, turn.sequence, turn.time, turn.bytes);
    if (!is(turn.hash, select->blob(4))) {
      return fail(chain_broken(turn.sequence, "its content is not what was written"));
    }
    if (Status status = row(turn); !status.ok()) return fail(std::move(status));
    head = {turn.sequence, turn.hash, turn.time};
  }
}

Result<LogHead> head_at(Database& database, std::uint64_t sequence) {
  LogHead out;
  if (sequence == 0) return out;
  auto select = database.prepare("SELECT time_ms, hash FROM turns WHERE sequence = ?");
  if (!select) return fail(std::move(select.error()));
  select->bind(1, sequence);
  const auto found = select->step();
  if (!found) return fail(found.error());
  if (!*found) return fail(chain_broken(sequence, "it is missing"));
  const std::string_view hash = select->blob(1);
  if (hash.size() != out.hash.bytes.size()) {
    return fail(chain_broken(sequence, "its hash is none"));
  }
  out.sequence = sequence;
  out.time = time_from_unix_ms(select->integer(0));
  std::copy(hash.begin(), hash.end(), out.hash.bytes.begin());
  return out;
}

}  // namespace overwinter::store
