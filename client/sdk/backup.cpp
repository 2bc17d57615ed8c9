// A backup, from the coordinator into a file: proven while it comes, whole or not at all.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"
#include "common/formats/backup_file.h"
#include "common/security/file_io.h"

namespace overwinter::client {
namespace {

constexpr auto kAskEvery = std::chrono::milliseconds(100);

Status cannot(const char* doing, const std::filesystem::path& file) {
  return error(Code::kFailedPrecondition,
               "cannot " + std::string(doing) + " " + file.string() + ": " + std::strerror(errno));
}

// FILE.part, 0600, until finish(); removed unless that comes.
class PartFile {
 public:
  explicit PartFile(const std::filesystem::path& file)
      : file_(file), part_(file.string() + ".part") {}
  ~PartFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (made_) ::unlink(part_.c_str());
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  Status create() {
    descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor_ < 0 && errno == EEXIST) {
      return error(Code::kAlreadyExists, part_.string() + " is there already", {},
                   "another backup writes it, or one was killed: remove it");
    }
    if (descriptor_ < 0) return cannot("write", part_);
    made_ = true;
    return Status::success();
  }
  Status write(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = ::write(descriptor_, data.data(), data.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return cannot("write", part_);
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return Status::success();
  }
  Status finish() {
    if (::fsync(descriptor_) != 0) return cannot("sync", part_);
    if (::rename(part_.c_str(), file_.c_str()) != 0) return cannot("write", file_);
    made_ = false;
    return fsync_folder(file_.parent_path());
  }

 private:
  const std::filesystem::path file_;
  const std::filesystem::path part_;
  int descriptor_ = -1;
  bool made_ = false;
};

// Cancels the call when it is asked to: a stream without news blocks in Read.
class Stopper {
 public:
  Stopper(grpc::ClientContext& context, const std::function<bool()>& stopped)
      : thread_([this, &context, &stopped](const std::stop_token& token) {
          std::unique_lock lock(mutex_);
          while (!token.stop_requested()) {
            if (stopped && stopped()) return context.TryCancel();
            wake_.wait_for(lock, token, kAskEvery, [] { return false; });
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace

Result<BackupInfo> Client::backup(const std::string& passphrase, const std::string& path,
                                  const ByteProgress& progress,
                                  const std::function<bool()>& stopped) {
  PartFile file(path);
  if (Status status = file.create(); !status.ok()) return fail(std::move(status));
  v1::CreateBackupRequest request;
  request.set_passphrase(passphrase);
  formats::BackupReader reader(nullptr);
  BackupInfo out;
  Status mine;
  grpc::Status theirs;
  {
    grpc::ClientContext context;
    impl_->prepare(context);
    const Stopper stopper(context, stopped);
    const auto stream = impl_->admin->CreateBackup(&context, request);
    std::uint64_t total = 0;
    for (v1::BackupPart part; mine.ok() && stream->Read(&part);) {
      if (part.total_bytes() > 0) total = part.total_bytes();
      out.size_bytes += part.data().size();
      mine = reader.feed(std::as_bytes(std::span(part.data())));
      if (mine.ok()) mine = file.write(part.data());
      if (progress) progress(out.size_bytes, std::max(total, out.size_bytes));
    }
    if (!mine.ok()) context.TryCancel();
    theirs = stream->Finish();
  }
  if (stopped && stopped()) return fail(Code::kCancelled, "interrupted; no file is left");
  if (!mine.ok()) return fail(std::move(mine));
  if (!theirs.ok()) return fail(impl_->explained(theirs));
  const auto manifest = reader.finish();
  if (!manifest) return fail(manifest.error());
  if (Status status = file.finish(); !status.ok()) return fail(std::move(status));
  out.cluster = manifest->cluster;
  out.generation = manifest->generation;
  out.turn = manifest->turn;
  out.turn_time = manifest->turn_time;
  out.files = manifest->members.size();
  out.keys = manifest->keys;
  return out;
}

}  // namespace overwinter::client
