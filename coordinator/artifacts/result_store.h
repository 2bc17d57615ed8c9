// ResultStore: the result C of each job, a preallocated file that holds its tiles in unit order. A
// unit has landed when its tile was written and synced, and not before; a landed tile is never
// written again, so nothing that comes later, a wrong tile or a crash in the middle of a write, can
// harm it. On disk: README.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/domain/ids.h"
#include "common/domain/unit_ranges.h"
#include "coordinator/artifacts/file_port.h"
#include "coordinator/artifacts/result_reader.h"
#include "coordinator/artifacts/result_spec.h"

namespace overwinter::artifacts {

struct ResultStoreConfig {
  // A result is refused when it would leave less than this on the disk. Below the uploads' mark, so
  // that accepted work goes on when uploads no longer do.
  std::uint64_t free_bytes_min = 512 * kMiB;
};

// What became of a tile that put() took.
struct Landing {
  enum class Outcome : std::uint8_t {
    kLanded = 1,    // durable; this tile made the unit done
    kRepeated = 2,  // durable, by another tile that came first
    kDropped = 3,   // the job's result was removed meanwhile
  };
  JobId job;
  UnitNumber unit = 0;
  std::uint64_t tag = 0;  // the caller's, from put()
  Outcome outcome = Outcome::kLanded;
  friend bool operator==(const Landing&, const Landing&) = default;
};

// Thread-safe. Every call may wait for the disk. After kDataLoss (a failed sync) every put() and
// sync() fails the same way: the process ends and replays.
class ResultStore {
 public:
  // `files` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<ResultStore>> open(FilePort& files, std::string root,
                                                                 const ResultStoreConfig& config);
  ~ResultStore();

  // Creates C of a job, or takes up the one that is there. `landed`: the units that committed facts
  // count as done; their tiles are never written again. Idempotent for an equal spec.
  // kFailedPrecondition: it exists with another spec. kResourceExhausted: no room, with the
  // numbers. kNotFound: `landed` is not empty and the tiles are gone. After an error nothing half
  // done stays.
  [[nodiscard]] Status prepare(JobId job, const ResultSpec& spec, const UnitRanges& landed);

  // OK when a result of this size could be prepared now; kResourceExhausted with the numbers.
  [[nodiscard]] Status room_for(std::uint64_t data_bytes) const;

  // kNotFound when the job was not prepared (or was removed).
  [[nodiscard]] Result<ResultSpec> spec(JobId job) const;
  [[nodiscard]] Result<UnitRanges> landed(JobId job) const;
  // kOutOfRange: no such unit.
  [[nodiscard]] Result<bool> has_landed(JobId job, UnitNumber unit) const;

  enum class Put : std::uint8_t {
    kWritten = 1,  // a later sync() answers with this tag, once
    kLanded = 2,   // the unit had landed before; there is no later answer
  };
  // Writes a verified tile, dense rows. kInvalidArgument: not the tile's size; kOutOfRange: no such
  // unit. A tile for a unit that is written but not yet synced is not written again; it is answered
  // as kRepeated by that sync.
  [[nodiscard]] Result<Put> put(JobId job, UnitNumber unit, std::span<const std::byte> tile,
                                std::uint64_t tag);
  // Tiles written that wait for a sync.
  [[nodiscard]] std::uint64_t waiting() const;
  // One sync for every job with written tiles; what has landed by it, in order of job, unit and
  // arrival. The caller chooses when: many tiles share a sync.
  [[nodiscard]] Result<std::vector<Landing>> sync();

  // All units have landed: computes the digest, writes the manifest. Idempotent.
  // kFailedPrecondition: units are missing, with their number.
  [[nodiscard]] Result<ResultManifest> seal(JobId job);
  // Both need a sealed result, which need not have been prepared since the start: kNotFound without
  // one.
  [[nodiscard]] Result<ResultManifest> manifest(JobId job) const;
  [[nodiscard]] Result<ResultReader> read(JobId job, Order order) const;

  // Removes the result, sealed or not. Durable when it returns; one that is not there is a success.
  [[nodiscard]] Status remove(JobId job);
  // Jobs that have a folder, whole or not: for removing, at start, those that no job owns.
  [[nodiscard]] Result<std::vector<JobId>> list() const;

 private:
  struct JobResult;
  using JobResultPtr = std::shared_ptr<JobResult>;

  ResultStore(FilePort& files, std::string root, const ResultStoreConfig& config);

  [[nodiscard]] std::string job_folder(JobId job) const;
  [[nodiscard]] JobResultPtr find(JobId job) const;
  // Files of a job that takes tiles; a sealed one needs none.
  struct Taken {
    std::shared_ptr<File> file;
    bool sealed = false;
  };
  [[nodiscard]] Result<Taken> take_up(JobId job, const ResultSpec& spec, const UnitRanges& landed);
  [[nodiscard]] Result<Taken> create(JobId job, const ResultSpec& spec);
  [[nodiscard]] Result<std::shared_ptr<File>> create_files(JobId job, const ResultSpec& spec);
  [[nodiscard]] Result<std::optional<Put>> claim(JobId job, JobResult& result, UnitNumber unit,
                                                 std::uint64_t tag);
  [[nodiscard]] Status remove_files(JobId job);

  FilePort& files_;
  const std::string root_;
  const ResultStoreConfig config_;

  mutable Mutex folder_mutex_;  // prepare, seal, remove: one at a time; taken before the others
  Mutex sync_mutex_;            // one sync at a time; taken before mutex_
  mutable Mutex mutex_;         // never held over a file operation
  Condition written_;           // a write of some tile has ended
  std::map<JobId, JobResultPtr> jobs_ OW_GUARDED_BY(mutex_);
  std::vector<Landing> dropped_ OW_GUARDED_BY(mutex_);
  Status broken_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::artifacts
