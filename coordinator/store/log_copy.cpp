#include "coordinator/store/log_copy.h"

#include <utility>

#include "common/base/bytes.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/store/data_folder.h"
#include "coordinator/store/store_files.h"
#include "coordinator/wire/fact_codec.h"

namespace overwinter::store {
namespace {

std::uint64_t size_of(const std::filesystem::path& file) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return missing ? 0 : size;
}

// By a reader of its own: a transaction of SQLite's sees one commit, and so does what it writes.
Status vacuum_into(const std::string& log, const std::filesystem::path& to) {
  auto database = Database::open(log, {.vfs = {}, .create = false, .read_only = true});
  if (!database) return database.error();
  auto copy = database->prepare("VACUUM INTO ?");
  if (!copy) return copy.error();
  return copy->bind_text(1, to.string()).run();
}

}  // namespace

Result<LogCopy> copy_log(const std::filesystem::path& folder, const std::filesystem::path& to,
                         std::uint64_t free_bytes_min) {
  const StoreFiles files(folder);
  const std::uint64_t wanted = size_of(files.log) + size_of(files.log + "-wal") + free_bytes_min;
  if (const std::uint64_t free = free_bytes(folder); free < wanted) {
    return fail(Code::kResourceExhausted,
                "the coordinator's disk has " + format_bytes(free) +
                    " free; a copy of its log needs " + format_bytes(wanted),
                {}, "free some space on it");
  }
  if (Status status = vacuum_into(files.log, to); !status.ok()) return fail(std::move(status));
  return read_log(to);
}

Result<LogCopy> read_log(const std::filesystem::path& file) {
  auto database = Database::open(file.string(), {.vfs = {}, .create = false, .read_only = true});
  if (!database) return fail(std::move(database.error()));
  LogCopy out;
  auto head = read_turns(*database, LogHead{}, [&out](const TurnRow& row) {
    const auto turn = wire::decode_turn(row.bytes);
    if (!turn) return turn.error();
    for (const core::Fact& fact : turn->facts) core::evolve(out.state, row.time, fact);
    return Status::success();
  });
  if (!head) return fail(std::move(head.error()));
  out.head = *head;
  out.bytes = size_of(file);
  return out;
}

}  // namespace overwinter::store
