// CheckpointStore: how a checkpoint is written. Each file is made durable as it arrives; the commit
// makes their names durable, then writes the manifest, and only then may older ones go.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"
#include "common/formats/checkpoint_manifest.h"
#include "coordinator/artifacts/checkpoint_open.h"
#include "coordinator/artifacts/small_file.h"

namespace overwinter::artifacts {
namespace {

constexpr std::size_t kOpenOfJobMax = 4;

Status not_open(JobId job, CheckpointKey key) {
  return error(Code::kNotFound,
               fmt::format("The checkpoint of job {} at step {} is not being written.", job.value(),
                           key.step),
               {}, "Begin it again.");
}

Status given_up() {
  return error(Code::kAborted, "The checkpoint was given up.");
}

Status superseded(CheckpointKey key, CheckpointKey newer) {
  return error(Code::kFailedPrecondition,
               fmt::format("Attempt {} at step {} comes too late: attempt {} has reached step {}.",
                           key.attempt, key.step, newer.attempt, newer.step));
}

bool same_checkpoint(CheckpointManifest stored, const CheckpointManifest& again) {
  stored.stored = again.stored;
  return stored == again;
}

}  // namespace

CheckpointUpload::~CheckpointUpload() {
  {
    MutexLock lock(session_->mutex);
    session_->end(error(Code::kCancelled, "The upload was given up."));
  }
  store_.forget(session_);
}

Status CheckpointUpload::write(std::span<const std::byte> data, Time now) {
  Session& session = *session_;
  {
    MutexLock lock(store_.mutex_);
    session.open->last_sign = now;
  }
  MutexLock lock(session.mutex);
  if (!session.file) return session.ended;
  Status status = store_.noting(session.file->write(data));
  if (!status.ok() && status.code != Code::kInvalidArgument) session.end(status);
  return status;
}

Status CheckpointUpload::finish() {
  Status status = store_.publish(*session_);
  store_.forget(session_);
  return status;
}

Status CheckpointStore::noting(Status status) {
  if (!is_fatal(status)) return status;
  MutexLock lock(mutex_);
  if (broken_.ok()) broken_ = status;
  return status;
}

CheckpointStore::OpenPtr CheckpointStore::find_open(JobId job, CheckpointKey key) const {
  MutexLock lock(mutex_);
  const auto found = open_.find({job, key});
  return found == open_.end() ? nullptr : found->second;
}

Status CheckpointStore::may_begin(JobId job, CheckpointKey key) const {
  if (!broken_.ok()) return broken_;
  std::size_t of_job = 0;
  for (const auto& [name, open] : open_) {
    if (name.first != job) continue;
    if (name.second.attempt > key.attempt) return superseded(key, name.second);
    of_job += name.second.attempt == key.attempt && name.second != key ? 1 : 0;
  }
  if (const auto entry = jobs_.find(job); entry != jobs_.end() && !entry->second.whole.empty()) {
    if (entry->second.whole.contains(key))
      return error(Code::kAlreadyExists,
                   fmt::format("The checkpoint at step {} is stored.", key.step));
    const CheckpointKey newest = entry->second.whole.rbegin()->first;
    if (newest > key) return superseded(key, newest);
  }
  if (of_job >= kOpenOfJobMax)
    return error(Code::kResourceExhausted,
                 fmt::format("Job {} is writing {} checkpoints already.", job.value(), of_job), {},
                 "Take checkpoints less often.");
  return Status::success();
}

// Room beside what the others have announced and not yet taken.
Status CheckpointStore::admit(std::uint64_t more_bytes) const {
  if (more_bytes > config_.checkpoint_bytes_max)
    return error(Code::kResourceExhausted,
                 fmt::format("The checkpoint has {}; the most that is stored is {}.",
                             format_bytes(more_bytes), format_bytes(config_.checkpoint_bytes_max)));
  std::uint64_t promised = 0;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, open] : open_) promised += open->total_bytes - open->begun_bytes;
  }
  const Result<std::uint64_t> free = files_.free_bytes(root_);
  if (!free) return free.error();
  const std::uint64_t taken = config_.free_bytes_min + promised;
  if (*free >= taken && *free - taken >= more_bytes) return Status::success();
  return error(Code::kResourceExhausted,
               fmt::format("The coordinator's disk has {} free, of which {} are promised to other "
                           "checkpoints; one of {} would leave less than {}.",
                           format_bytes(*free), format_bytes(promised), format_bytes(more_bytes),
                           format_bytes(config_.free_bytes_min)),
               {}, "Free disk space on the coordinator, or keep fewer checkpoints.");
}

Status CheckpointStore::begin(JobId job, CheckpointKey key, std::uint64_t total_bytes, Time now) {
  MutexLock folder_lock(folder_mutex_);
  std::uint64_t more_bytes = total_bytes;
  {
    MutexLock lock(mutex_);
    if (Status status = may_begin(job, key); !status.ok()) return status;
    const auto found = open_.find({job, key});
    if (found != open_.end()) {
      found->second->last_sign = now;
      if (total_bytes <= found->second->total_bytes) return Status::success();
      more_bytes -= found->second->total_bytes;
    } else if (open_.size() >= config_.open_max) {
      return error(Code::kResourceExhausted,
                   fmt::format("{} checkpoints are being written, which is the most at one time.",
                               open_.size()),
                   {}, "Try again when one has ended.");
    }
  }
  if (Status status = end_older(job, key); !status.ok()) return status;
  if (Status status = admit(more_bytes); !status.ok()) return status;
  if (const OpenPtr open = find_open(job, key)) {
    MutexLock lock(mutex_);
    open->total_bytes = total_bytes;
    return Status::success();
  }
  if (Status status = noting(make_folder(job, key)); !status.ok()) return status;
  const OpenPtr open(new Open{job, key, folder_of(job, key), total_bytes, 0, {}, {}, now});
  MutexLock lock(mutex_);
  open_.emplace(Name{job, key}, open);
  if (const auto entry = jobs_.find(job); entry != jobs_.end()) entry->second.unreadable.erase(key);
  return Status::success();
}

// What earlier attempts have begun will never be whole.
Status CheckpointStore::end_older(JobId job, CheckpointKey key) {
  std::vector<OpenPtr> older;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, open] : open_) {
      if (name.first == job && name.second.attempt < key.attempt) older.push_back(open);
    }
  }
  for (const OpenPtr& open : older) {
    if (Status status = end_open(open); !status.ok()) return status;
  }
  return Status::success();
}

Status CheckpointStore::make_job_folder(JobId job) {
  {
    MutexLock lock(mutex_);
    if (durable_folders_.contains(job)) return Status::success();
  }
  if (Status status = files_.make_folder(job_folder(job)); !status.ok()) return status;
  if (Status status = files_.sync_folder(root_); !status.ok()) return status;
  MutexLock lock(mutex_);
  durable_folders_.insert(job);
  return Status::success();
}

Status CheckpointStore::make_folder(JobId job, CheckpointKey key) {
  const std::string folder = folder_of(job, key);
  // Left by a removal that failed, or one whose manifest is damaged.
  if (Status status = remove_folder(folder); !status.ok()) return status;
  if (Status status = make_job_folder(job); !status.ok()) return status;
  if (Status status = files_.make_folder(folder); !status.ok()) return status;
  return files_.sync_folder(job_folder(job));
}

Result<std::unique_ptr<CheckpointUpload>> CheckpointStore::begin_file(JobId job, CheckpointKey key,
                                                                      const Digest& digest,
                                                                      std::uint64_t size_bytes,
                                                                      Time now) {
  const OpenPtr open = find_open(job, key);
  if (!open) return fail(not_open(job, key));
  auto session = std::make_shared<CheckpointUpload::Session>();
  session->open = open;
  session->digest = digest;
  session->size_bytes = size_bytes;
  // Held until the file is there, so that who ends it meanwhile waits for that.
  MutexLock session_lock(session->mutex);
  std::shared_ptr<CheckpointUpload::Session> replaced;
  {
    MutexLock lock(mutex_);
    if (!broken_.ok()) return fail(broken_);
    if (open->closed) return fail(not_open(job, key));
    open->last_sign = now;
    if (open->arrived.contains(digest))
      return fail(Code::kAlreadyExists, "A file of this content has arrived.");
    for (const auto& other : open->uploads) {
      if (other->digest == digest) replaced = other;
    }
    const std::uint64_t begun = open->begun_bytes - (replaced ? replaced->size_bytes : 0);
    if (open->arrived.size() + open->uploads.size() >= kCheckpointFilesMax ||
        size_bytes > open->total_bytes - begun)
      return fail(Code::kInvalidArgument,
                  fmt::format("The checkpoint was announced with {} bytes; {} have been begun, and "
                              "{} more do not fit.",
                              open->total_bytes, begun, size_bytes),
                  "size_bytes");
    if (replaced) open->uploads.erase(replaced);
    open->uploads.insert(session);
    open->begun_bytes = begun + size_bytes;
    session->path = fmt::format("{}/{}.part", open->folder, next_upload_++);
  }
  if (replaced) {
    MutexLock lock(replaced->mutex);
    replaced->end(error(Code::kAborted, "The same file is being sent again."));
  }
  Result<std::unique_ptr<IncomingFile>> file =
      IncomingFile::create(files_, session->path, size_bytes, digest);
  if (!file) {
    forget(session);
    return fail(noting(std::move(file.error())));
  }
  session->file = std::move(*file);
  return std::unique_ptr<CheckpointUpload>(new CheckpointUpload(*this, session));
}

Status CheckpointStore::publish(CheckpointUpload::Session& session) {
  MutexLock lock(session.mutex);
  if (!session.file) return session.ended;
  Status status = noting(session.file->finish());
  if (status.ok())
    status = session.file->publish(session.open->folder + "/" + to_hex(session.digest));
  if (!status.ok()) {
    session.end(status);
    return status;
  }
  session.end(error(Code::kFailedPrecondition, "The upload has ended."));
  MutexLock store_lock(mutex_);
  if (session.open->closed) return given_up();
  session.open->arrived.emplace(session.digest, session.size_bytes);
  return Status::success();
}

void CheckpointStore::forget(const std::shared_ptr<CheckpointUpload::Session>& session) {
  MutexLock lock(mutex_);
  Open& open = *session->open;
  if (open.uploads.erase(session) != 0 && !open.arrived.contains(session->digest))
    open.begun_bytes -= session->size_bytes;
}

// Nothing arrives any more when it returns.
void CheckpointStore::close(const OpenPtr& open) {
  std::set<std::shared_ptr<CheckpointUpload::Session>> uploads;
  {
    MutexLock lock(mutex_);
    open->closed = true;
    uploads = open->uploads;
  }
  for (const auto& session : uploads) {
    MutexLock lock(session->mutex);
    session->end(given_up());
  }
}

Status CheckpointStore::end_open(const OpenPtr& open) {
  close(open);
  {
    MutexLock lock(mutex_);
    open_.erase({open->job, open->key});
  }
  return noting(remove_folder(open->folder));
}

Status CheckpointStore::abandon(JobId job, CheckpointKey key) {
  MutexLock folder_lock(folder_mutex_);
  const OpenPtr open = find_open(job, key);
  return open ? end_open(open) : Status::success();
}

std::size_t CheckpointStore::sweep(Time now) {
  MutexLock folder_lock(folder_mutex_);
  std::vector<OpenPtr> idle;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, open] : open_) {
      if (now - open->last_sign > config_.open_idle_max) idle.push_back(open);
    }
  }
  for (const OpenPtr& open : idle) (void)end_open(open);
  return idle.size();
}

std::size_t CheckpointStore::open_count() const {
  MutexLock lock(mutex_);
  return open_.size();
}

// Whether the commit may go on: OK, or what is missing. A stored one is kAlreadyExists.
Status CheckpointStore::may_commit(const CheckpointManifest& manifest) const {
  if (Status status = may_begin(manifest.job, manifest.key()); !status.ok()) return status;
  const auto found = open_.find({manifest.job, manifest.key()});
  if (found == open_.end()) return not_open(manifest.job, manifest.key());
  for (const CheckpointFile& file : manifest.files) {
    const auto arrived = found->second->arrived.find(file.digest);
    if (arrived == found->second->arrived.end())
      return error(Code::kFailedPrecondition,
                   fmt::format("The file {} of the checkpoint has not arrived.", file.name));
    if (arrived->second != file.size_bytes)
      return error(Code::kInvalidArgument,
                   fmt::format("The file {} of the checkpoint has {} bytes, not {}.", file.name,
                               arrived->second, file.size_bytes),
                   "files.size_bytes");
  }
  return Status::success();
}

Result<CheckpointManifest> CheckpointStore::commit(CheckpointManifest manifest, std::uint32_t keep,
                                                   Time now) {
  if (Status status = check_checkpoint(manifest); !status.ok()) return fail(std::move(status));
  const JobId job = manifest.job;
  const CheckpointKey key = manifest.key();
  manifest.stored = now;
  MutexLock folder_lock(folder_mutex_);
  OpenPtr open;
  {
    MutexLock lock(mutex_);
    Status status = may_commit(manifest);
    if (status.code == Code::kAlreadyExists) {
      const StoredCheckpoint& stored = jobs_[job].whole.at(key);
      if (same_checkpoint(*stored.manifest, manifest)) return *stored.manifest;
      return fail(Code::kFailedPrecondition,
                  fmt::format("Another checkpoint of attempt {} at step {} is stored.", key.attempt,
                              key.step));
    }
    if (!status.ok()) return fail(std::move(status));
    open = open_.at({job, key});
    open->closed = true;
  }
  close(open);
  if (Status status = noting(write_manifest(*open, manifest)); !status.ok()) {
    (void)end_open(open);
    return fail(std::move(status));
  }
  std::vector<OpenPtr> late;
  {
    MutexLock lock(mutex_);
    open_.erase({job, key});
    jobs_[job].whole.emplace(
        key, StoredCheckpoint{std::make_shared<const CheckpointManifest>(manifest), {}});
    for (const auto& [name, other] : open_) {
      if (name.first == job && name.second < key) late.push_back(other);
    }
  }
  // It is durable: what fails from here on is found again, and fails nobody's commit.
  for (const OpenPtr& other : late) (void)end_open(other);
  (void)retire(job, keep);
  return manifest;
}

Status CheckpointStore::write_manifest(const Open& open, const CheckpointManifest& manifest) {
  std::set<std::string> wanted;
  for (const CheckpointFile& file : manifest.files) wanted.insert(to_hex(file.digest));
  const Result<std::vector<std::string>> names = files_.list(open.folder);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (wanted.contains(name)) continue;
    if (Status status = files_.remove(fmt::format("{}/{}", open.folder, name)); !status.ok())
      return status;
  }
  // Before the manifest can be there, the names that it counts on are.
  if (Status status = files_.sync_folder(open.folder); !status.ok()) return status;
  return write_small_file(files_, open.folder, kCheckpointManifestName,
                          formats::write_checkpoint_manifest(manifest));
}

}  // namespace overwinter::artifacts
