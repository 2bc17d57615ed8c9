#include "coordinator/backup/restore.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/security/ca.h"
#include "common/security/file_io.h"
#include "coordinator/artifacts/blob_store.h"
#include "coordinator/backup/key_bundle.h"
#include "coordinator/backup/layout.h"
#include "coordinator/backup/unpacker.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/runtime/job_inputs.h"
#include "coordinator/store/log_copy.h"
#include "coordinator/store/store.h"

namespace overwinter::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::uint64_t kRoomBesides = 256 * kMiB;  // projection, reserve, what a start writes
// What a restore puts into a data folder, and may remove from one whose restore was cut off.
constexpr std::array<std::string_view, 8> kOurs{kStoreFolder,     kArtifactFolder, kTelemetryFolder,
                                                kAuthorityFolder, kSecretsFolder,  kSecretsKeyFile,
                                                kAdminTokenFile,  kRestoreFolder};

Status cannot(std::string_view doing, const fs::path& what, int number) {
  return error(Code::kFailedPrecondition,
               "cannot " + std::string(doing) + " " + what.string() + ": " + std::strerror(number));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return number_; }

 private:
  const int number_;
};

// One restore: its steps in their order.
class Restore {
 public:
  explicit Restore(const RestoreOptions& options)
      : options_(options), staging_(options.data_dir / kRestoreFolder) {}

  Status prepare_folder();
  Status unpack(Restored& out);
  Status check_log(const Restored& out);
  Status make_keys(const Restored& out);
  Status begin_generation(Restored& out);
  Status put_in_place();
  void clean_up();

 private:
  [[nodiscard]] Status remove_ours() const;
  [[nodiscard]] Status check_blobs(const core::ClusterState& state) const;
  [[nodiscard]] Status sync_all() const;

  const RestoreOptions& options_;
  const fs::path staging_;
  std::optional<Descriptor> folder_;  // locked for as long as this lives
  bool ours_ = false;                 // what lies in the folder
};

// Of an empty folder, or of one that holds nothing but what a cut-off restore left in it.
Status Restore::prepare_folder() {
  const fs::path folder = fs::absolute(options_.data_dir);
  std::error_code failed;
  fs::create_directories(folder.parent_path(), failed);
  if (failed) {
    return error(Code::kFailedPrecondition, "the folder " + folder.parent_path().string() +
                                                " cannot be made: " + failed.message());
  }
  if (Status status = ensure_private_folder(folder); !status.ok()) return status;
  folder_.emplace(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder_->get() < 0) return cannot("open", folder, errno);
  if (::flock(folder_->get(), LOCK_EX | LOCK_NB) != 0) {
    return error(Code::kFailedPrecondition, "another restore is using " + folder.string());
  }
  const bool cut_off = fs::exists(staging_, failed);
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    const std::string name = it->path().filename().string();
    if (name == "lost+found") continue;
    if (cut_off && std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end()) continue;
    return error(Code::kFailedPrecondition,
                 "the folder " + folder.string() + " is not empty: it holds " + name, {},
                 "a backup is restored into a new folder: --data-dir NEW");
  }
  if (failed) return error(Code::kFailedPrecondition, "cannot list " + folder.string());
  ours_ = true;
  if (Status status = remove_ours(); !status.ok()) return status;
  return ensure_private_folder(staging_);
}

// restore.part last: as long as it is there, nothing serves from what else there is.
Status Restore::remove_ours() const {
  for (const std::string_view name : kOurs) {
    std::error_code failed;
    fs::remove_all(options_.data_dir / name, failed);
    if (failed) {
      return error(Code::kFailedPrecondition, "cannot remove what an earlier restore left: " +
                                                  (options_.data_dir / name).string() + ": " +
                                                  failed.message());
    }
  }
  return Status::success();
}

void Restore::clean_up() {
  if (!ours_) return;
  const Status removed = remove_ours();
  (void)removed;  // what stays serves nobody, and the next restore removes it
}

Status Restore::unpack(Restored& out) {
  const Descriptor file(::open(options_.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return cannot("read", options_.file, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return cannot("read", options_.file, errno);
  struct statvfs disk {};
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (::fstatvfs(folder_->get(), &disk) == 0) {
    const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    if (free < size + kRoomBesides) {
      return error(Code::kFailedPrecondition,
                   "the disk of " + options_.data_dir.string() + " has " + format_bytes(free) +
                       " free, and the restore needs " + format_bytes(size + kRoomBesides));
    }
  }
  Unpacker unpacker(staging_, [this](const std::string& sealed) {
    const auto passphrase = options_.passphrase();
    return passphrase ? unseal_keys(sealed, *passphrase, staging_) : passphrase.error();
  });
  formats::BackupReader reader(&unpacker);
  std::vector<std::byte> piece(kPieceBytes);
  for (;;) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot("read", options_.file, errno);
    if (n == 0) break;
    const auto got = std::span<const std::byte>(piece).first(static_cast<std::size_t>(n));
    if (Status status = reader.feed(got); !status.ok()) return status;
  }
  auto manifest = reader.finish();
  if (!manifest) return manifest.error();
  out.manifest = std::move(*manifest);
  return Status::success();
}

Status Restore::check_blobs(const core::ClusterState& state) const {
  auto blobs = artifacts::BlobStore::open(artifacts::posix_files(),
                                          (staging_ / kArtifactFolder).string(), {});
  if (!blobs) return blobs.error();
  for (const runtime::NeededBlob& need : runtime::needed_blobs(state)) {
    if ((*blobs)->has(need.key)) continue;
    return error(Code::kFailedPrecondition, "the backup lacks the file artifact://" +
                                                to_hex(need.key.digest) + " that " + need.job +
                                                " needs");
  }
  return Status::success();
}

// The chain from turn 1 to the turn that the manifest names.
Status Restore::check_log(const Restored& out) {
  const auto log = store::read_log(staging_ / kLogMember);
  if (!log) return log.error();
  if (log->head.sequence != out.manifest.turn || log->head.hash != out.manifest.turn_hash) {
    return error(Code::kDataLoss, "the backup's log ends at turn " +
                                      std::to_string(log->head.sequence) +
                                      ", which is not the turn that its manifest names (" +
                                      std::to_string(out.manifest.turn) + ")");
  }
  return check_blobs(log->state);
}

Status Restore::make_keys(const Restored& out) {
  if (out.manifest.keys) {
    const auto authority = CertificateAuthority::open(staging_ / kAuthorityFolder);
    return authority ? Status::success() : authority.error();
  }
  const auto authority =
      CertificateAuthority::create(staging_ / kAuthorityFolder, out.manifest.cluster, options_.now);
  return authority ? Status::success() : authority.error();
}

Status Restore::begin_generation(Restored& out) {
  store::StoreConfig config;
  config.folder = staging_ / kStoreFolder;
  config.reserve_bytes = 0;  // its first start takes it
  auto store = store::open_store(config);
  if (!store) return store.error();
  auto state = (*store)->restore();
  if (!state) return state.error();
  for (const auto& [id, job] : state->jobs) {
    if (job.terminal()) continue;
    ++out.jobs_unfinished;
    if (!job.seats.empty()) ++out.jobs_requeued;
  }
  for (const auto& [id, worker] : state->workers) {
    out.workers += worker.state != core::WorkerState::kRemoved ? 1 : 0;
  }
  for (const auto& [id, token] : state->tokens) {
    const bool good = !token.revoked_at && (!token.expires || *token.expires > options_.now);
    out.tokens += good ? 1 : 0;
  }
  const Time then = state->last_time;
  core::Scheduler scheduler(core::SchedulerConfig{}, std::move(*state));
  core::Outcome outcome;
  // Two restores of one backup are two generations with one number: workers tell them by the time.
  const auto id = static_cast<std::uint64_t>(std::max<std::int64_t>(2, unix_ms(options_.now)));
  scheduler.step(then, core::BackupRestored{id, out.manifest.turn, then, options_.now}, outcome);
  out.generation = scheduler.state().generation;
  const store::TurnRef turn{then, outcome.facts};
  if (Status status = (*store)->append_and_commit({&turn, 1}); !status.ok()) return status;
  return (*store)->catch_up();
}

Status Restore::sync_all() const {
  return ::syncfs(folder_->get()) == 0 ? Status::success()
                                       : cannot("sync the disk of", options_.data_dir, errno);
}

Status Restore::put_in_place() {
  if (Status status = sync_all(); !status.ok()) return status;
  std::vector<fs::path> names;
  std::error_code failed;
  for (fs::directory_iterator it(staging_, failed), end; !failed && it != end;
       it.increment(failed)) {
    names.push_back(it->path().filename());
  }
  if (failed) return error(Code::kFailedPrecondition, "cannot list " + staging_.string());
  for (const fs::path& name : names) {
    const fs::path to = options_.data_dir / name;
    if (::rename((staging_ / name).c_str(), to.c_str()) != 0) return cannot("make", to, errno);
  }
  if (Status status = sync_all(); !status.ok()) return status;
  if (::rmdir(staging_.c_str()) != 0) return cannot("remove", staging_, errno);
  return fsync_folder(options_.data_dir);
}

}  // namespace

Status not_being_restored(const fs::path& data_dir) {
  std::error_code ignored;
  if (!fs::exists(data_dir / kRestoreFolder, ignored)) return Status::success();
  return error(
      Code::kFailedPrecondition,
      "a restore of " + data_dir.string() + " is under way or was cut off", {},
      "restore it again: overwinter-coordinator --restore FILE --data-dir " + data_dir.string());
}

Result<Restored> restore_backup(const RestoreOptions& options) {
  Restore restore(options);
  Restored out;
  Status status = restore.prepare_folder();
  if (status.ok()) status = restore.unpack(out);
  if (status.ok()) status = restore.check_log(out);
  if (status.ok()) status = restore.make_keys(out);
  if (status.ok()) status = restore.begin_generation(out);
  if (status.ok()) status = restore.put_in_place();
  if (status.ok()) return out;
  restore.clean_up();
  return fail(std::move(status));
}

}  // namespace overwinter::backup
