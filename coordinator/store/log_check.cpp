#include "coordinator/store/log_check.h"

#include <algorithm>
#include <utility>

#include "coordinator/store/store_files.h"
#include "coordinator/store/turn_chain.h"

namespace overwinter::store {
namespace {

constexpr std::uint64_t kTurnsPerPart = 64;
constexpr std::chrono::seconds kLogCheckEvery{10};

// Damage is what was asked for; that nothing could be read (no memory, no descriptor) is not.
Result<LogCheck> damage_or_error(LogCheck found, Status status) {
  if (status.code != Code::kDataLoss) return fail(std::move(status));
  found.problem = std::move(status.message);
  return found;
}

// The turns after `first` to `last`, and that they follow turn `first` as the log has it.
Status check_part(Database& database, std::uint64_t first, std::uint64_t last,
                  std::uint64_t& bytes) {
  const auto from = head_at(database, first);
  if (!from) return from.error();
  const auto head = read_some_turns(database, *from, last - first, [&bytes](const TurnRow& row) {
    bytes += row.bytes.size();
    return Status::success();
  });
  if (!head) return head.error();
  return head->sequence == last ? Status::success() : log_lost_its_end(head->sequence, last);
}

}  // namespace

Result<LogCheck> check_newest_turns(const std::filesystem::path& folder, std::uint64_t durable,
                                    const LogCheckBounds& bounds) {
  LogCheck out;
  const StoreFiles files(folder);
  auto database = Database::open(files.log, {.vfs = {}, .create = false, .read_only = true});
  // Without a descriptor or memory it fails here: that is no damage.
  if (!database) return fail(std::move(database.error()));
  const auto newest = database->query_integer("SELECT coalesce(max(sequence), 0) FROM turns");
  if (!newest) return damage_or_error(out, newest.error());
  out.turns = static_cast<std::uint64_t>(*newest);
  if (out.turns < durable) return damage_or_error(out, log_lost_its_end(out.turns, durable));
  std::uint64_t bytes = 0;
  for (std::uint64_t last = out.turns; last > 0;) {
    const std::uint64_t left = bounds.turns - out.checked;
    const std::uint64_t part = std::min({last, left, kTurnsPerPart});
    if (part == 0 || bytes >= bounds.bytes) break;
    if (Status status = check_part(*database, last - part, last, bytes); !status.ok()) {
      return damage_or_error(out, std::move(status));
    }
    out.checked += part;
    last -= part;
  }
  return out;
}

Result<LogCheck> LogChecks::look(std::uint64_t durable) {
  {
    const MutexLock lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (looking_ || (looked_at_ && now - *looked_at_ < kLogCheckEvery)) {
      LogCheck known = found_;
      known.turns = std::max(known.turns, durable);
      return known;
    }
    looking_ = true;
  }
  auto found = check_newest_turns(folder_, durable, {});
  const MutexLock lock(mutex_);
  looking_ = false;
  if (!found) return found;
  looked_at_ = std::chrono::steady_clock::now();
  found_ = *found;
  return found;
}

}  // namespace overwinter::store
