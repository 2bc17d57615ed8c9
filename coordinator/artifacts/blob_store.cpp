#include "coordinator/artifacts/blob_store.h"

#include <fmt/format.h>

#include <vector>

#include "common/formats/digest.h"
#include "coordinator/artifacts/live_upload.h"

namespace overwinter::artifacts {

struct BlobUpload::Session : LiveUpload {
  BlobKey key;
  std::string path;
};

BlobUpload::~BlobUpload() {
  session_->give_up();
  store_.forget(session_);
}

Status BlobUpload::write(std::span<const std::byte> data, Time now) {
  return session_->write(data, now);
}

Status BlobUpload::finish() {
  Status status = store_.publish(*session_);
  store_.forget(session_);
  return status;
}

BlobStore::BlobStore(FilePort& files, std::string root, const BlobStoreConfig& config)
    : files_(files), root_(std::move(root)), config_(config) {}

BlobStore::~BlobStore() = default;

Result<std::unique_ptr<BlobStore>> BlobStore::open(FilePort& files, std::string root,
                                                   const BlobStoreConfig& config) {
  std::unique_ptr<BlobStore> store(new BlobStore(files, std::move(root), config));
  const std::string blobs = store->root_ + "/blobs";
  const std::string uploads = store->root_ + "/uploads";
  for (const std::string& folder : {blobs, uploads}) {
    if (Status status = store->make_durable_folder(folder, store->root_); !status.ok())
      return fail(std::move(status));
  }
  const Result<std::vector<std::string>> left = files.list(uploads);
  if (!left) return fail(left.error());
  for (const std::string& name : *left) {
    if (Status status = files.remove(fmt::format("{}/{}", uploads, name)); !status.ok())
      return fail(std::move(status));
  }
  // A killed process may have renamed a blob into place and not synced its folder: it would be seen
  // now and be gone after a power cut.
  const Result<std::vector<std::string>> projects = files.list(blobs);
  if (!projects) return fail(projects.error());
  for (const std::string& project : *projects) {
    if (Status status = files.sync_folder(fmt::format("{}/{}", blobs, project)); !status.ok())
      return fail(std::move(status));
  }
  return store;
}

// A project's name is user text: its hash names the folder.
std::string BlobStore::project_folder(std::string_view project) const {
  const Digest name = formats::sha256(std::as_bytes(std::span(project)));
  return root_ + "/blobs/" + to_hex(name);
}

std::string BlobStore::blob_path(const BlobKey& key) const {
  return project_folder(key.project) + "/" + to_hex(key.digest);
}

Status BlobStore::make_durable_folder(const std::string& folder, const std::string& parent) {
  {
    MutexLock lock(mutex_);
    if (durable_folders_.contains(folder)) return Status::success();
  }
  if (Status status = files_.make_folder(folder); !status.ok()) return status;
  if (Status status = files_.sync_folder(parent); !status.ok()) return status;
  MutexLock lock(mutex_);
  durable_folders_.insert(folder);
  return Status::success();
}

Status BlobStore::admit(std::uint64_t size_bytes) {
  if (size_bytes > config_.blob_bytes_max)
    return error(Code::kResourceExhausted,
                 fmt::format("The file has {}; the most that is stored is {}.",
                             format_bytes(size_bytes), format_bytes(config_.blob_bytes_max)));
  // Running uploads have their disk reserved already.
  const Result<std::uint64_t> free = files_.free_bytes(root_);
  if (!free) return free.error();
  if (*free < config_.free_bytes_min || *free - config_.free_bytes_min < size_bytes)
    return error(
        Code::kResourceExhausted,
        fmt::format("The coordinator's disk has {} free; an upload of {} would leave less than {}.",
                    format_bytes(*free), format_bytes(size_bytes),
                    format_bytes(config_.free_bytes_min)),
        {}, "Free disk space on the coordinator, or remove results that are no longer needed.");
  return Status::success();
}

Result<std::unique_ptr<BlobUpload>> BlobStore::begin_upload(const BlobKey& key,
                                                            std::uint64_t size_bytes, Time now) {
  if (has(key)) return fail(Code::kAlreadyExists, "The project has this file already.");
  if (Status status = admit(size_bytes); !status.ok()) return fail(std::move(status));
  auto session = std::make_shared<BlobUpload::Session>();
  session->key = key;
  session->begin(now);
  {
    MutexLock lock(mutex_);
    if (uploads_.size() >= config_.uploads_max)
      return fail(Code::kResourceExhausted,
                  fmt::format("{} uploads are running, which is the most at one time.",
                              config_.uploads_max),
                  {}, "Try again when one has ended.");
    session->path = fmt::format("{}/uploads/{}", root_, next_upload_++);
    uploads_.insert(session);
  }
  // From here on the destructor of `upload` undoes everything.
  std::unique_ptr<BlobUpload> upload(new BlobUpload(*this, session));
  Result<std::unique_ptr<IncomingFile>> file =
      IncomingFile::create(files_, session->path, size_bytes, key.digest);
  if (!file) return fail(std::move(file.error()));
  MutexLock lock(session->mutex);
  session->file = std::move(*file);
  return upload;
}

Status BlobStore::publish(BlobUpload::Session& session) {
  MutexLock lock(session.mutex);
  if (!session.file) return session.ended;
  Status status = session.file->finish();
  const std::string folder = project_folder(session.key.project);
  if (status.ok()) status = make_durable_folder(folder, root_ + "/blobs");
  // Two uploads of the same content end in the same file: either will do.
  if (status.ok()) status = session.file->publish(blob_path(session.key));
  if (!status.ok()) {
    session.end(status);
    return status;
  }
  session.file.reset();
  session.ended = error(Code::kFailedPrecondition, "The upload has ended.");
  return files_.sync_folder(folder);
}

void BlobStore::forget(const std::shared_ptr<BlobUpload::Session>& session) {
  MutexLock lock(mutex_);
  uploads_.erase(session);
}

std::size_t BlobStore::sweep(Time now) {
  std::vector<std::shared_ptr<BlobUpload::Session>> running;
  {
    MutexLock lock(mutex_);
    running.assign(uploads_.begin(), uploads_.end());
  }
  std::size_t ended = 0;
  for (const auto& session : running) {
    if (!session->end_if_idle(now, config_.upload_idle_max)) continue;
    forget(session);
    ++ended;
  }
  return ended;
}

std::uint32_t BlobStore::uploads() const {
  MutexLock lock(mutex_);
  return static_cast<std::uint32_t>(uploads_.size());
}

bool BlobStore::has(const BlobKey& key) const {
  return files_.file_size(blob_path(key)).has_value();
}

Result<Blob> BlobStore::open_blob(const BlobKey& key) const {
  Result<std::unique_ptr<File>> file = files_.open(blob_path(key), OpenMode::kRead);
  if (!file && file.error().code == Code::kNotFound)
    return fail(Code::kNotFound,
                fmt::format("There is no file artifact://{} in this project.", to_hex(key.digest)));
  if (!file) return fail(std::move(file.error()));
  const Result<std::uint64_t> size = (*file)->size_bytes();
  if (!size) return fail(size.error());
  return Blob{std::move(*file), *size};
}

Result<MatrixBlob> BlobStore::open_matrix(const BlobKey& key) const {
  Result<Blob> blob = open_blob(key);
  if (!blob) return fail(std::move(blob.error()));
  Result<formats::NpyHeader> header = formats::read_npy_header(
      blob->size_bytes, [&](std::uint64_t offset, std::span<std::byte> out) {
        return blob->file->read_at(offset, out);
      });
  if (!header) return fail(std::move(header.error()));
  return MatrixBlob{std::move(blob->file), *header};
}

Result<formats::NpyHeader> BlobStore::describe(const BlobKey& key) const {
  Result<MatrixBlob> matrix = open_matrix(key);
  if (!matrix) return fail(std::move(matrix.error()));
  return matrix->header;
}

Status BlobStore::remove(const BlobKey& key) {
  Status status = files_.remove(blob_path(key));
  if (status.code == Code::kNotFound) return Status::success();
  if (!status.ok()) return status;
  return files_.sync_folder(project_folder(key.project));
}

}  // namespace overwinter::artifacts
