#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/security/file_io.h"
#include "coordinator/store/commit_witness.h"
#include "coordinator/store/data_folder.h"
#include "coordinator/store/projection.h"
#include "coordinator/store/sqlite_history.h"
#include "coordinator/store/store.h"
#include "coordinator/store/store_files.h"
#include "coordinator/store/wal_check.h"

namespace overwinter::store {
namespace {

constexpr std::int64_t kPageBytes = 4096 + 24;  // a page and its frame header in the WAL
constexpr std::size_t kTurnsPerFlushMax = 10'000;
constexpr std::chrono::seconds kRoomCheckEvery{1};
// What a start writes: the ends of the log and of the projection, a certificate, where it serves.
constexpr std::uint64_t kStartBytesMin = 16 * kMiB;

class SqliteStore final : public Store {
 public:
  SqliteStore(StoreConfig config, FolderLock lock, CommitWitness witness, TurnLog log,
              Database reader, Projection projection, std::unique_ptr<SqliteHistory> history)
      : config_(std::move(config)),
        files_(config_.folder),
        lock_(std::move(lock)),
        reserve_(files_.reserve, config_.reserve_bytes),
        witness_(std::move(witness)),
        log_(std::move(log)),
        reader_(std::move(reader)),
        projection_(std::move(projection)),
        history_(std::move(history)) {}
  ~SqliteStore() override;

  Status check_and_project();
  void start() {
    thread_ = std::thread([this] { maintain(); });
  }

  Result<core::ClusterState> restore() override;
  Status append_and_commit(std::span<const TurnRef> turns) override;
  Status disk_room() override;
  History& history() override { return *history_; }
  Status catch_up() override;
  StoreStatistics statistics() const override;

 private:
  void maintain();
  void take_reserve_again();
  Status project() OW_REQUIRES(projection_mutex_);
  void use_reserve();
  void copy_wal_back() OW_REQUIRES(projection_mutex_);
  [[nodiscard]] std::uint64_t wal_bytes() const {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, wal_pages_) * kPageBytes);
  }

  const StoreConfig config_;
  const StoreFiles files_;
  FolderLock lock_;
  SpaceReserve reserve_;

  CommitWitness witness_;  // both the committing thread's
  TurnLog log_;
  std::atomic<std::int64_t> wal_pages_{0};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> projected_{0};

  Mutex projection_mutex_;
  Database reader_ OW_GUARDED_BY(projection_mutex_);  // of the log
  std::optional<Projection> projection_ OW_GUARDED_BY(projection_mutex_);
  bool restored_ OW_GUARDED_BY(projection_mutex_) = false;
  const std::unique_ptr<SqliteHistory> history_;

  Mutex room_mutex_;
  std::optional<std::chrono::steady_clock::time_point> room_looked_ OW_GUARDED_BY(room_mutex_);
  Status room_ OW_GUARDED_BY(room_mutex_);

  mutable Mutex mutex_;
  Condition woken_;  // by a commit, when the thread is idle
  Condition stop_;
  std::uint64_t committed_ OW_GUARDED_BY(mutex_) = 0;  // the log's last turn
  bool idle_ OW_GUARDED_BY(mutex_) = false;
  bool reserve_wanted_ OW_GUARDED_BY(mutex_) = false;
  bool stopping_ OW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

SqliteStore::~SqliteStore() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  woken_.notify_all();
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// One pass over the log: the whole chain, the watermark, and what the projection has not seen.
Status SqliteStore::check_and_project() {
  MutexLock lock(projection_mutex_);
  Projection& projection =
      *projection_;  // for the lambda, which the analysis takes for another function
  const LogHead mark = projection.head();
  const auto head = read_turns(log_.database(), LogHead{}, [&](const TurnRow& row) {
    if (Status status = witness_.check_row(row); !status.ok()) return status;
    if (row.sequence < mark.sequence) return Status::success();
    if (row.sequence == mark.sequence) {
      return row.hash == mark.hash ? Status::success() : other_log(mark.sequence);
    }
    Status status = projection.apply(row);
    if (status.ok() && projection.turns_pending() >= kTurnsPerFlushMax) {
      status = projection.flush();
    }
    return status;
  });
  if (!head) return head.error();
  if (head->sequence < mark.sequence) return log_lost_its_end(head->sequence, mark.sequence);
  if (Status status = witness_.check_end(*head); !status.ok()) return status;
  if (Status status = projection_->flush(); !status.ok()) return status;
  log_.set_head(*head);
  projected_ = head->sequence;
  MutexLock also(mutex_);
  committed_ = head->sequence;
  return Status::success();
}

Result<core::ClusterState> SqliteStore::restore() {
  MutexLock lock(projection_mutex_);
  if (restored_ || !projection_) {
    return fail(Code::kFailedPrecondition, "the state is restored once, after opening");
  }
  restored_ = true;
  core::ClusterState state = projection_->state();
  projection_->drop_job_bytes();
  return state;
}

Status SqliteStore::append_and_commit(std::span<const TurnRef> turns) {
  Status status = log_.append(turns);
  if (status.code == Code::kResourceExhausted) {
    use_reserve();  // or a reader has, a moment ago
    status = log_.append(turns);
  }
  if (!status.ok()) return status;
  witness_.note(log_.head());
  wal_pages_ = log_.database().wal_pages();
  ++commits_;
  if (wal_bytes() > 4 * config_.wal_bytes) {
    // Copying back beside the commits did not keep up. A reader may keep it from finishing: next
    // time.
    status = log_.truncate_wal();
    if (status.ok()) wal_pages_ = 0;
    if (!status.ok() && status.code != Code::kUnavailable) return status;
  }
  bool wake = false;
  {
    MutexLock lock(mutex_);
    committed_ = log_.head().sequence;
    wake = idle_;
  }
  if (wake) woken_.notify_all();
  return Status::success();
}

Status SqliteStore::disk_room() {
  MutexLock lock(room_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (room_looked_ && now - *room_looked_ < kRoomCheckEvery) return room_;
  room_looked_ = now;
  const std::uint64_t free = free_bytes(config_.folder);
  // While its reserve is given up, the room for that is wanted too, and until it is taken again.
  const bool reserve_gone = reserve_.in_use();
  const std::uint64_t wanted =
      config_.room_min_bytes + (reserve_gone ? reserve_.bytes() : std::uint64_t{0});
  if (reserve_gone && free >= wanted) take_reserve_again();
  room_ = Status::success();
  if (free < wanted || reserve_gone) {
    room_ = error(Code::kResourceExhausted,
                  "the coordinator's disk is full: " + format_bytes(free) + " free, " +
                      format_bytes(wanted) + " wanted; running work goes on",
                  {}, "free some space on it, or remove old results");
  }
  return room_;
}

Status SqliteStore::project() {
  if (!projection_) {
    auto opened = Projection::open(files_.projection, config_.vfs);
    if (!opened) return opened.error();
    projection_.emplace(std::move(*opened));
    projection_->drop_job_bytes();
  }
  Projection& projection = *projection_;
  const auto head = read_turns(reader_, projection.head(), [&](const TurnRow& row) {
    Status status = projection.apply(row);
    if (status.ok() && projection.turns_pending() >= kTurnsPerFlushMax) {
      status = projection.flush();
    }
    return status;
  });
  Status status = head ? projection_->flush() : head.error();
  if (status.ok()) {
    projected_ = head->sequence;
  } else {
    projection_.reset();  // the file holds the last whole transaction; opened again next time
  }
  return status;
}

void SqliteStore::copy_wal_back() {
  if (wal_bytes() > config_.wal_bytes) {
    if (const auto left = reader_.checkpoint("PASSIVE"); !left) {
      log_warning("the log's WAL is not copied back: {}", left.error().message);
    }
  }
  if (!projection_ ||
      projection_->wal_pages() * kPageBytes <= static_cast<std::int64_t>(config_.wal_bytes)) {
    return;
  }
  if (Status status = projection_->checkpoint(); !status.ok()) {
    log_warning("the projection's WAL is not copied back: {}", status.message);
  }
}

Status SqliteStore::catch_up() {
  MutexLock lock(projection_mutex_);
  Status status = project();
  // Reading goes on while the disk is full, as running work does.
  if (status.code == Code::kResourceExhausted) {
    use_reserve();
    status = project();
  }
  return status;
}

void SqliteStore::use_reserve() {
  if (!reserve_.give_up()) return;
  log_error("the disk is full; the store goes on from its reserve of {}",
            format_bytes(reserve_.bytes()));
}

// Without commits the store's thread would sleep on, and what makes commits is refused.
void SqliteStore::take_reserve_again() {
  {
    MutexLock lock(mutex_);
    reserve_wanted_ = true;
  }
  woken_.notify_all();
}

void SqliteStore::maintain() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      idle_ = true;
      while (!stopping_ && committed_ <= projected_ && !reserve_wanted_) woken_.wait(mutex_);
      idle_ = false;
      reserve_wanted_ = false;
      // Gathers what comes within a second, so that a busy job's row is written once.
      const auto until = std::chrono::steady_clock::now() + config_.project_every;
      while (!stopping_ && stop_.wait_until(mutex_, until) != std::cv_status::timeout) {
      }
      if (stopping_) return;
    }
    MutexLock lock(projection_mutex_);
    if (Status status = project(); !status.ok()) {
      log_error("the projection is behind: {}", status.message);
    }
    copy_wal_back();
    if (reserve_.in_use() &&
        free_bytes(config_.folder) >= config_.room_min_bytes + reserve_.bytes()) {
      reserve_.restore();
    }
  }
}

StoreStatistics SqliteStore::statistics() const {
  StoreStatistics out;
  {
    MutexLock lock(mutex_);
    out.turns = committed_;
  }
  out.projected = projected_;
  out.commits = commits_;
  std::error_code ignored;
  const auto file = std::filesystem::file_size(files_.log, ignored);
  if (!ignored) out.log_bytes = file;
  out.log_bytes += wal_bytes();
  out.reserve_in_use = reserve_.in_use();
  return out;
}

Result<Projection> open_projection(const StoreFiles& files, const std::string& vfs) {
  auto projection = Projection::open(files.projection, vfs);
  if (projection) return projection;
  log_warning("the projection is built anew from the log: {}", projection.error().message);
  files.remove_projection();
  return Projection::open(files.projection, vfs);
}

}  // namespace

Result<std::unique_ptr<Store>> open_store(const StoreConfig& config) {
  auto lock = FolderLock::take(config.folder);
  if (!lock) return fail(std::move(lock.error()));
  const StoreFiles files(config.folder);
  if (free_bytes(config.folder) < kStartBytesMin) SpaceReserve::give_up(files.reserve);
  if (Status status = check_wal(files.log + "-wal"); !status.ok()) return fail(std::move(status));
  auto witness = CommitWitness::open(files.witness);
  if (!witness) return fail(std::move(witness.error()));
  auto log = TurnLog::open(files.log, {.vfs = config.vfs});
  if (!log) return fail(std::move(log.error()));
  auto reader = Database::open(files.log, {.vfs = config.vfs, .create = false});
  if (!reader) return fail(std::move(reader.error()));
  auto projection = open_projection(files, config.vfs);
  if (!projection) return fail(std::move(projection.error()));
  auto history = SqliteHistory::open(files.projection, config.vfs);
  if (!history) return fail(std::move(history.error()));
  auto store = std::make_unique<SqliteStore>(config, std::move(*lock), std::move(*witness),
                                             std::move(*log), std::move(*reader),
                                             std::move(*projection), std::move(*history));
  if (Status status = store->check_and_project(); !status.ok()) return fail(std::move(status));
  // The names of new files survive from here on.
  if (Status status = fsync_folder(config.folder); !status.ok()) return fail(std::move(status));
  const auto parent = std::filesystem::absolute(config.folder).parent_path();
  if (Status status = fsync_folder(parent); !status.ok()) return fail(std::move(status));
  store->start();
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace overwinter::store
