// CheckpointStore: opening, removing and looking; how one is written stands in
// checkpoint_writing.cpp.
#include "coordinator/artifacts/checkpoint_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/bytes.h"
#include "common/formats/checkpoint_manifest.h"
#include "common/formats/digest.h"
#include "coordinator/artifacts/checkpoint_open.h"
#include "coordinator/artifacts/small_file.h"

namespace overwinter::artifacts {
namespace {

template <class Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [stop, problem] = std::from_chars(text.begin(), text.end(), number);
  return problem == std::errc{} && stop == text.end() && !text.empty();
}

// "ATTEMPT-STEP"
std::optional<CheckpointKey> parse_key(std::string_view name) {
  CheckpointKey key;
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos || !parse_number(name.substr(0, dash), key.attempt) ||
      !parse_number(name.substr(dash + 1), key.step))
    return std::nullopt;
  return key;
}

Status no_checkpoint(JobId job) {
  return error(Code::kNotFound, fmt::format("Job {} has no such checkpoint.", job.value()));
}

}  // namespace

CheckpointStore::CheckpointStore(FilePort& files, std::string root,
                                 const CheckpointStoreConfig& config)
    : files_(files), root_(std::move(root) + "/checkpoints"), config_(config) {}

CheckpointStore::~CheckpointStore() = default;

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::open(
    FilePort& files, std::string root, const CheckpointStoreConfig& config) {
  std::unique_ptr<CheckpointStore> store(new CheckpointStore(files, root, config));
  if (Status status = files.make_folder(store->root_); !status.ok()) return fail(std::move(status));
  if (Status status = files.sync_folder(root); !status.ok()) return fail(std::move(status));
  const Result<std::vector<JobId>> jobs = store->jobs();
  if (!jobs) return fail(jobs.error());
  for (const JobId job : *jobs) {
    if (Status status = store->load(job); !status.ok()) return fail(std::move(status));
  }
  // Names that a killed process made may be seen and not be durable yet.
  if (Status status = files.sync_folder(store->root_); !status.ok()) return fail(std::move(status));
  MutexLock lock(store->mutex_);
  store->durable_folders_.insert(jobs->begin(), jobs->end());
  return store;
}

std::string CheckpointStore::job_folder(JobId job) const {
  return fmt::format("{}/{}", root_, job.value());
}

std::string CheckpointStore::folder_of(JobId job, CheckpointKey key) const {
  return fmt::format("{}/{}-{}", job_folder(job), key.attempt, key.step);
}

Status CheckpointStore::load(JobId job) {
  const Result<std::vector<std::string>> names = files_.list(job_folder(job));
  if (!names) return names.error();
  for (const std::string& name : *names) {
    const std::optional<CheckpointKey> key = parse_key(name);
    if (!key) continue;
    if (Status status = load_one(job, *key); !status.ok()) return status;
  }
  return files_.sync_folder(job_folder(job));
}

Status CheckpointStore::load_one(JobId job, CheckpointKey key) {
  const std::string folder = folder_of(job, key);
  const Result<std::string> text = read_small_file(files_, folder + "/" + kCheckpointManifestName,
                                                   formats::kCheckpointManifestBytesMax);
  if (!text && text.error().code == Code::kNotFound)  // half-written, or half removed
    return remove_folder(folder);
  if (!text && text.error().code != Code::kInternal) return text.error();
  Result<CheckpointManifest> manifest =
      text ? formats::read_checkpoint_manifest(*text) : fail(text.error());
  if (manifest && (manifest->job != job || manifest->key() != key))
    manifest = fail(Code::kInternal, "The manifest of a checkpoint is another one's.");
  if (manifest) {
    if (Status status = files_.sync_folder(folder); !status.ok()) return status;
  }
  MutexLock lock(mutex_);
  Job& entry = jobs_[job];
  if (manifest) {
    entry.whole[key].manifest = std::make_shared<const CheckpointManifest>(std::move(*manifest));
  } else {
    entry.unreadable[key] = manifest.error().message;
  }
  return Status::success();
}

// The manifest goes first, durably, also when a killed process has removed it already: what a crash
// leaves is no checkpoint, and the next start removes it. That the folder is gone need not be
// durable.
Status CheckpointStore::remove_folder(const std::string& folder) {
  const Result<std::vector<std::string>> names = files_.list(folder);
  if (!names && names.error().code == Code::kNotFound) return Status::success();
  if (!names) return names.error();
  const std::string manifest = fmt::format("{}/{}", folder, kCheckpointManifestName);
  if (Status status = files_.remove(manifest); !status.ok() && status.code != Code::kNotFound)
    return status;
  if (Status status = files_.sync_folder(folder); !status.ok()) return status;
  for (const std::string& name : *names) {
    if (name == kCheckpointManifestName) continue;
    if (Status status = files_.remove(fmt::format("{}/{}", folder, name)); !status.ok())
      return status;
  }
  return files_.remove_folder(folder);
}

Status CheckpointStore::retire(JobId job, std::uint32_t keep) {
  std::vector<CheckpointKey> victims;
  {
    MutexLock lock(mutex_);
    Job& entry = jobs_[job];
    std::uint32_t good = 0;
    for (auto it = entry.whole.rbegin(); it != entry.whole.rend(); ++it) {
      const bool wanted = it->second.damage.empty() && good < std::max(keep, 1U);
      good += wanted ? 1 : 0;
      if (!wanted && !pinned_.contains({job, it->first})) victims.push_back(it->first);
    }
    for (const auto& [key, why] : entry.unreadable) victims.push_back(key);
    for (const CheckpointKey& key : victims) entry.whole.erase(key);
    entry.unreadable.clear();
  }
  for (const CheckpointKey& key : victims) {
    if (Status status = noting(remove_folder(folder_of(job, key))); !status.ok()) return status;
  }
  return Status::success();
}

Status CheckpointStore::drop(JobId job) {
  MutexLock folder_lock(folder_mutex_);
  std::vector<OpenPtr> open;
  {
    MutexLock lock(mutex_);
    if (!broken_.ok()) return broken_;
    for (const auto& [name, one] : open_) {
      if (name.first == job) open.push_back(one);
    }
    jobs_.erase(job);
    durable_folders_.erase(job);
  }
  for (const OpenPtr& one : open) {
    if (Status status = end_open(one); !status.ok()) return status;
  }
  const Result<std::vector<std::string>> names = files_.list(job_folder(job));
  if (!names && names.error().code == Code::kNotFound) return Status::success();
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (Status status = noting(remove_folder(fmt::format("{}/{}", job_folder(job), name)));
        !status.ok())
      return status;
  }
  if (Status status = files_.remove_folder(job_folder(job)); !status.ok()) return status;
  return noting(files_.sync_folder(root_));
}

Result<std::vector<JobId>> CheckpointStore::jobs() const {
  const Result<std::vector<std::string>> names = files_.list(root_);
  if (!names) return fail(names.error());
  std::vector<JobId> jobs;
  for (const std::string& name : *names) {
    std::uint64_t number = 0;
    if (parse_number(name, number)) jobs.emplace_back(number);
  }
  std::sort(jobs.begin(), jobs.end());
  return jobs;
}

std::vector<StoredCheckpoint> CheckpointStore::list(JobId job) const {
  MutexLock lock(mutex_);
  std::vector<StoredCheckpoint> found;
  const auto entry = jobs_.find(job);
  if (entry == jobs_.end()) return found;
  for (auto it = entry->second.whole.rbegin(); it != entry->second.whole.rend(); ++it)
    found.push_back(it->second);
  return found;
}

Result<StoredCheckpoint> CheckpointStore::get(JobId job, std::optional<std::uint64_t> step) const {
  for (const StoredCheckpoint& one : list(job)) {
    if (!step || one.manifest->step == *step) return one;
  }
  return fail(no_checkpoint(job));
}

Result<Blob> CheckpointStore::open_file(JobId job, CheckpointKey key, std::string_view name) const {
  std::shared_ptr<const CheckpointManifest> manifest;
  {
    MutexLock lock(mutex_);
    const auto entry = jobs_.find(job);
    if (entry == jobs_.end()) return fail(no_checkpoint(job));
    const auto found = entry->second.whole.find(key);
    if (found == entry->second.whole.end()) return fail(no_checkpoint(job));
    manifest = found->second.manifest;
  }
  const CheckpointFile* file = manifest->find(name);
  if (file == nullptr)
    return fail(Code::kNotFound, fmt::format("The checkpoint has no file {}.", name));
  Result<std::unique_ptr<File>> opened =
      files_.open(folder_of(job, key) + "/" + to_hex(file->digest), OpenMode::kRead);
  if (!opened) return fail(std::move(opened.error()));
  const Result<std::uint64_t> size = (*opened)->size_bytes();
  if (!size) return fail(size.error());
  if (*size != file->size_bytes)
    return fail(Code::kInternal, fmt::format("The file {} of a checkpoint has {} bytes instead of "
                                             "{}.",
                                             name, *size, file->size_bytes));
  return Blob{std::move(*opened), *size};
}

Status CheckpointStore::check_file(JobId job, CheckpointKey key, const CheckpointFile& file) const {
  const Result<Blob> blob = open_file(job, key, file.name);
  if (!blob) return blob.error();
  formats::BlobDigester digester;
  std::vector<std::byte> piece(kMiB);
  for (std::uint64_t at = 0; at < blob->size_bytes;) {
    const std::span<std::byte> part = std::span(piece).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), blob->size_bytes - at)));
    if (Status status = blob->file->read_at(at, part); !status.ok()) return status;
    digester.update(part);
    at += part.size();
  }
  if (digester.finish() == file.digest) return Status::success();
  return error(Code::kInternal, "Its content is not what was stored: the disk changed it.");
}

Status CheckpointStore::verify(JobId job, CheckpointKey key) {
  const Pin pin(*this, job, key);
  std::shared_ptr<const CheckpointManifest> manifest;
  for (const StoredCheckpoint& one : list(job)) {
    if (one.manifest->key() == key) manifest = one.manifest;
  }
  if (!manifest) return no_checkpoint(job);
  Status found;
  for (const CheckpointFile& file : manifest->files) {
    const Status status = check_file(job, key, file);
    if (status.ok()) continue;
    // kDataLoss would end the process; a sector that cannot be read is damage like another.
    found = error(Code::kInternal,
                  fmt::format("The file {} of the checkpoint at step {} is damaged: {}", file.name,
                              key.step, status.message));
    break;
  }
  MutexLock lock(mutex_);
  const auto entry = jobs_.find(job);
  if (entry == jobs_.end()) return no_checkpoint(job);
  const auto one = entry->second.whole.find(key);
  if (one == entry->second.whole.end()) return no_checkpoint(job);
  one->second.damage = found.message;
  return found;
}

Result<LastGood> CheckpointStore::last_good(JobId job) {
  LastGood answer;
  for (const StoredCheckpoint& one : list(job)) {
    const CheckpointKey key = one.manifest->key();
    Status status = verify(job, key);
    if (status.ok()) {
      answer.manifest = one.manifest;
      break;
    }
    if (status.code == Code::kNotFound) continue;  // removed meanwhile: a newer one came
    answer.skipped.push_back({key, std::move(status.message)});
  }
  MutexLock lock(mutex_);
  const auto entry = jobs_.find(job);
  if (entry == jobs_.end()) return answer;
  for (const auto& [key, why] : entry->second.unreadable) {
    if (!answer.manifest || answer.manifest->key() < key) answer.skipped.push_back({key, why});
  }
  std::stable_sort(answer.skipped.begin(), answer.skipped.end(),
                   [](const auto& a, const auto& b) { return b.key < a.key; });
  return answer;
}

CheckpointStore::Pin::Pin(CheckpointStore& store, JobId job, CheckpointKey key)
    : store_(store), what_(job, key) {
  MutexLock lock(store_.mutex_);
  store_.pinned_.insert(what_);
}

CheckpointStore::Pin::~Pin() {
  MutexLock lock(store_.mutex_);
  store_.pinned_.extract(what_);
}

}  // namespace overwinter::artifacts
