// CheckpointPort: where a gang's checkpoints go to and come from. worker/rpc implements it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/domain/checkpoint.h"

namespace overwinter::worker {

// The seat in whose name a worker speaks.
struct CheckpointAccess {
  SeatKey seat;
  std::function<std::string()> capability;  // the one that holds now; from any thread
};

// A whole checkpoint that was fetched, and what newer ones could not be used, each in a sentence.
struct RestoredCheckpoint {
  std::optional<CheckpointManifest> manifest;  // none: the job begins at its beginning
  std::vector<std::string> skipped;
};

// What the user is told of each that was passed over, for the job's log.
[[nodiscard]] std::vector<std::string> fallback_lines(const RestoredCheckpoint& restored);

// Thread-safe. Calls block for as long as the transfer takes and are tried again with back-off
// while the coordinator cannot be reached or is full: not for a thread that must not wait. The
// files that are sent must not change meanwhile. ABORTED: the seat has ended; FAILED_PRECONDITION:
// a newer checkpoint is stored; CANCELLED after a stop.
class CheckpointPort {
 public:
  virtual ~CheckpointPort() = default;

  // This worker's part of a checkpoint: the files of `part` as they lie in `folder`. `total_bytes`:
  // of all workers' files.
  [[nodiscard]] virtual Status send(const CheckpointAccess& access, std::uint64_t step,
                                    std::uint64_t total_bytes, std::span<const CheckpointFile> part,
                                    const std::filesystem::path& folder, std::stop_token stop) = 0;
  // Makes it visible, when all workers have sent. NOT_FOUND: the coordinator was restarted
  // meanwhile, everybody sends again.
  [[nodiscard]] virtual Status commit(const CheckpointAccess& access,
                                      const CheckpointManifest& manifest, std::stop_token stop) = 0;
  // Both, where one worker has all files; sends again by itself after a restart.
  [[nodiscard]] virtual Status store(const CheckpointAccess& access,
                                     const CheckpointManifest& manifest,
                                     const std::filesystem::path& folder, std::stop_token stop) = 0;
  // The last good one of the job into `folder`; files of the same names there are replaced.
  [[nodiscard]] virtual Result<RestoredCheckpoint> restore(const CheckpointAccess& access,
                                                           const std::filesystem::path& folder,
                                                           std::stop_token stop) = 0;
};

}  // namespace overwinter::worker
