// JobArchives: what exec jobs leave, as archives (common/formats/archive.h): the outputs of a job,
// which are its result, and the folder of one that failed, kept for a day. Visible only when whole,
// checked against its digest and durable. Of each kind a job has one: a later one replaces it. On
// disk: README.md.
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
#include "common/domain/ids.h"
#include "common/formats/archive.h"
#include "coordinator/artifacts/blob_store.h"  // Blob
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

enum class JobArchiveKind : std::uint8_t { kOutputs = 1, kWorkdir = 2 };

inline constexpr Duration kWorkdirKept = std::chrono::hours(24);

struct JobArchivesConfig {
  std::uint64_t archive_bytes_max = formats::archive_bytes_max(formats::kOutputsBytesMax);
  // One is refused when it would leave less than this on the disk.
  std::uint64_t free_bytes_min = 512 * kMiB;
  std::uint32_t uploads_max = 64;  // at the same time, all jobs together
  Duration upload_idle_max{60'000};
  Duration workdir_kept = kWorkdirKept;
};

// What is to come, or is there.
struct JobArchiveName {
  JobId job;
  JobArchiveKind kind = JobArchiveKind::kOutputs;
  AttemptNumber attempt = 0;
  Digest digest;
  friend bool operator==(const JobArchiveName&, const JobArchiveName&) = default;
};

struct JobArchive {
  Blob blob;
  Digest digest;
  AttemptNumber attempt = 0;
  Time stored{};
};

class JobArchives;

// One on its way. write() calls come one after another, from any thread; the store may end it
// meanwhile (sweep). Not finished: its file is removed when it is destroyed. The store must live
// longer.
class JobArchiveUpload {
 public:
  JobArchiveUpload(const JobArchiveUpload&) = delete;
  JobArchiveUpload& operator=(const JobArchiveUpload&) = delete;
  ~JobArchiveUpload();

  // The next bytes, at most 1 MiB.
  [[nodiscard]] Status write(std::span<const std::byte> data, Time now);
  // Checks size and digest, syncs, makes it visible and removes what it replaces. kInvalidArgument:
  // the content is not what was announced. kAborted: a later attempt's came first. Call once.
  [[nodiscard]] Status finish();

 private:
  friend class JobArchives;
  struct Session;
  JobArchiveUpload(JobArchives& store, std::shared_ptr<Session> session)
      : store_(store), session_(std::move(session)) {}
  JobArchives& store_;
  std::shared_ptr<Session> session_;
};

// Thread-safe. Every call may wait for the disk. After kDataLoss (is_fatal) the process ends.
class JobArchives {
 public:
  // Makes the folder, removes what is half-written or replaced, and makes durable what is there.
  // `files` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<JobArchives>> open(FilePort& files, std::string root,
                                                                 const JobArchivesConfig& config);
  ~JobArchives();

  // kAlreadyExists: it is there, nothing needs to be sent. kAborted: a later attempt's is there.
  // kInvalidArgument: larger than one may be. kResourceExhausted: too many at once, or too little
  // disk, with the numbers.
  [[nodiscard]] Result<std::unique_ptr<JobArchiveUpload>> begin(const JobArchiveName& name,
                                                                std::uint64_t size_bytes, Time now);
  // Stays readable when it is replaced or removed. kNotFound: there is none, or its day is over.
  [[nodiscard]] Result<JobArchive> get(JobId job, JobArchiveKind kind, Time now) const;
  // Ends uploads that sent nothing for upload_idle_max, and removes folders whose time is over. OK,
  // or what the disk said first.
  Status sweep(Time now);
  // Removes all that a job has. Durable when it returns; nothing there is a success.
  [[nodiscard]] Status drop(JobId job);
  // Jobs that have one: for dropping, at start, those that nobody knows.
  [[nodiscard]] std::vector<JobId> jobs() const;

 private:
  friend class JobArchiveUpload;
  using Session = JobArchiveUpload::Session;
  using SessionPtr = std::shared_ptr<Session>;
  using Place = std::pair<JobId, JobArchiveKind>;
  struct Stored {
    AttemptNumber attempt = 0;
    Time stored{};
    Digest digest;
    std::uint64_t size_bytes = 0;
  };

  JobArchives(FilePort& files, std::string root, const JobArchivesConfig& config);

  [[nodiscard]] std::string folder_of(JobId job) const;
  [[nodiscard]] std::string path_of(const Place& place, const Stored& stored) const;
  [[nodiscard]] Status load();
  [[nodiscard]] Status load_job(JobId job);
  [[nodiscard]] std::optional<Stored> find(const Place& place) const;
  [[nodiscard]] Status admit(const JobArchiveName& name, std::uint64_t size_bytes) const;
  [[nodiscard]] Status publish(Session& session);
  [[nodiscard]] Status remove_expired(Time now);
  void forget(const SessionPtr& session);

  FilePort& files_;
  const std::string root_;
  const JobArchivesConfig config_;

  Mutex folder_mutex_;   // names of files; taken after a session's and before mutex_
  mutable Mutex mutex_;  // never held over a file operation
  std::map<Place, Stored> stored_ OW_GUARDED_BY(mutex_);
  std::set<SessionPtr> uploads_ OW_GUARDED_BY(mutex_);
  std::uint64_t next_upload_ OW_GUARDED_BY(mutex_) = 1;
};

}  // namespace overwinter::artifacts
