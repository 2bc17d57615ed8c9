// CheckpointStore: the checkpoints of each job, a folder of files each. A checkpoint is visible
// only when it is whole: every file checked against its digest and durable, and after them its
// manifest. Older ones are removed only after a newer one is durable. On disk: README.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/domain/checkpoint.h"
#include "coordinator/artifacts/blob_store.h"  // Blob
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

struct CheckpointStoreConfig {
  std::uint64_t checkpoint_bytes_max = 1024 * kGiB;
  // A checkpoint is refused when it would leave less than this on the disk. Below the uploads'
  // mark, so that accepted work goes on when uploads no longer do.
  std::uint64_t free_bytes_min = 512 * kMiB;
  std::uint32_t open_max = 64;  // half-written ones, all jobs together
  // Longer than a worker sits out a restart or a bad line.
  Duration open_idle_max{15 * 60'000};
};

// A whole checkpoint. `damage` is empty, or what the last verification found.
struct StoredCheckpoint {
  std::shared_ptr<const CheckpointManifest> manifest;
  std::string damage;
};

// What a job can go on from, and which newer ones cannot be used, each with its reason: for saying
// so aloud.
struct LastGood {
  std::shared_ptr<const CheckpointManifest> manifest;  // null: none is good
  struct Skipped {
    CheckpointKey key;
    std::string why;
  };
  std::vector<Skipped> skipped;  // newest first
};

class CheckpointStore;

// One file on its way. write() calls come one after another, from any thread; the store may end it
// meanwhile. Not finished: what came is removed when it is destroyed. The store must live longer.
class CheckpointUpload {
 public:
  CheckpointUpload(const CheckpointUpload&) = delete;
  CheckpointUpload& operator=(const CheckpointUpload&) = delete;
  ~CheckpointUpload();

  // The next bytes, at most 1 MiB.
  [[nodiscard]] Status write(std::span<const std::byte> data, Time now);
  // Checks size and digest and syncs. kInvalidArgument when the content is not what was announced.
  // Call once.
  [[nodiscard]] Status finish();

 private:
  friend class CheckpointStore;
  struct Session;
  CheckpointUpload(CheckpointStore& store, std::shared_ptr<Session> session)
      : store_(store), session_(std::move(session)) {}
  CheckpointStore& store_;
  std::shared_ptr<Session> session_;
};

// Thread-safe. Every call may wait for the disk. After kDataLoss (a failed sync) everything that
// writes fails the same way: the process ends and replays.
class CheckpointStore {
 public:
  // Makes the folder, removes what is half-written, and makes durable what is there. `files`
  // outlives it.
  [[nodiscard]] static Result<std::unique_ptr<CheckpointStore>> open(
      FilePort& files, std::string root, const CheckpointStoreConfig& config);
  ~CheckpointStore();

  // Begins a checkpoint, or takes up the one that is open. `total_bytes`: the most that its files
  // will have together. kAlreadyExists: it is stored, nothing needs to be sent.
  // kFailedPrecondition: a newer one of the job is stored, or a later attempt has begun one.
  // kResourceExhausted: too large, too many open, or too little disk, with the numbers.
  [[nodiscard]] Status begin(JobId job, CheckpointKey key, std::uint64_t total_bytes, Time now);
  // kNotFound: it is not open; begin anew. kAlreadyExists: a file of this content has arrived.
  // Several files may be on their way at once; of two with the same content the later one counts.
  [[nodiscard]] Result<std::unique_ptr<CheckpointUpload>> begin_file(JobId job, CheckpointKey key,
                                                                     const Digest& digest,
                                                                     std::uint64_t size_bytes,
                                                                     Time now);
  // Makes the checkpoint visible, then removes those beyond the newest `keep` (at least 1) good
  // ones. Returns the manifest with its time; the same again for one that is stored with the same
  // files. kFailedPrecondition: a file has not arrived (named), or a newer one is stored.
  [[nodiscard]] Result<CheckpointManifest> commit(CheckpointManifest manifest, std::uint32_t keep,
                                                  Time now);
  // Gives up a half-written one. None is a success.
  [[nodiscard]] Status abandon(JobId job, CheckpointKey key);
  // Gives up those that sent nothing for open_idle_max. Returns how many.
  std::size_t sweep(Time now);
  [[nodiscard]] std::size_t open_count() const;

  // Newest first: by attempt, then by step.
  [[nodiscard]] std::vector<StoredCheckpoint> list(JobId job) const;
  // That of a step (of several attempts the latest), or the newest. kNotFound.
  [[nodiscard]] Result<StoredCheckpoint> get(JobId job, std::optional<std::uint64_t> step) const;
  // Stays readable when the checkpoint is removed. kNotFound.
  [[nodiscard]] Result<Blob> open_file(JobId job, CheckpointKey key, std::string_view name) const;
  // Reads every file. OK, or kInternal with the first bad file and what is wrong with it, which is
  // remembered as its damage. kNotFound: there is none.
  [[nodiscard]] Status verify(JobId job, CheckpointKey key);
  // The newest that verify() passes.
  [[nodiscard]] Result<LastGood> last_good(JobId job);

  // Removes all that a job has. Durable when it returns; nothing there is a success.
  [[nodiscard]] Status drop(JobId job);
  // Jobs that have a folder: for dropping, at start, those that no job owns.
  [[nodiscard]] Result<std::vector<JobId>> jobs() const;

  // Keeps one from being removed by the retention as long as it lives.
  class Pin {
   public:
    Pin(CheckpointStore& store, JobId job, CheckpointKey key);
    ~Pin();
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;

   private:
    CheckpointStore& store_;
    const std::pair<JobId, CheckpointKey> what_;
  };

 private:
  friend class CheckpointUpload;
  struct Open;  // one that is being written
  using OpenPtr = std::shared_ptr<Open>;
  using Name = std::pair<JobId, CheckpointKey>;
  struct Job {
    std::map<CheckpointKey, StoredCheckpoint> whole;
    std::map<CheckpointKey, std::string> unreadable;  // their manifest is damaged: why
  };

  CheckpointStore(FilePort& files, std::string root, const CheckpointStoreConfig& config);

  [[nodiscard]] std::string job_folder(JobId job) const;
  [[nodiscard]] std::string folder_of(JobId job, CheckpointKey key) const;
  [[nodiscard]] Status load(JobId job);
  [[nodiscard]] Status load_one(JobId job, CheckpointKey key);
  [[nodiscard]] Status admit(std::uint64_t more_bytes) const;
  [[nodiscard]] Status may_begin(JobId job, CheckpointKey key) const OW_REQUIRES(mutex_);
  [[nodiscard]] Status make_job_folder(JobId job);
  [[nodiscard]] Status make_folder(JobId job, CheckpointKey key);
  [[nodiscard]] OpenPtr find_open(JobId job, CheckpointKey key) const;
  [[nodiscard]] Status may_commit(const CheckpointManifest& manifest) const OW_REQUIRES(mutex_);
  void close(const OpenPtr& open);
  [[nodiscard]] Status write_manifest(const Open& open, const CheckpointManifest& manifest);
  [[nodiscard]] Status end_open(const OpenPtr& open);
  [[nodiscard]] Status end_older(JobId job, CheckpointKey key);
  [[nodiscard]] Status retire(JobId job, std::uint32_t keep);
  [[nodiscard]] Status remove_folder(const std::string& folder);
  [[nodiscard]] Status publish(CheckpointUpload::Session& session);
  [[nodiscard]] Status check_file(JobId job, CheckpointKey key, const CheckpointFile& file) const;
  void forget(const std::shared_ptr<CheckpointUpload::Session>& session);
  // Remembers a failed sync.
  Status noting(Status status) OW_EXCLUDES(mutex_);

  FilePort& files_;
  const std::string root_;
  const CheckpointStoreConfig config_;

  // begin, commit, removals: one at a time. Taken first; then a session's, then mutex_.
  mutable Mutex folder_mutex_;
  mutable Mutex mutex_;  // never held over a file operation
  std::map<JobId, Job> jobs_ OW_GUARDED_BY(mutex_);
  std::map<Name, OpenPtr> open_ OW_GUARDED_BY(mutex_);
  std::set<JobId> durable_folders_ OW_GUARDED_BY(mutex_);
  std::multiset<Name> pinned_ OW_GUARDED_BY(mutex_);
  std::uint64_t next_upload_ OW_GUARDED_BY(mutex_) = 1;
  Status broken_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::artifacts
