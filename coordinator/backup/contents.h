// What goes into a backup beside the log and the keys: which files, under which names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "coordinator/artifacts/held_files.h"
#include "coordinator/core/cluster_state.h"

namespace overwinter::backup {

struct Content {
  enum class Kind : std::uint8_t {
    kText,   // `text` itself
    kFile,   // a file that nobody else touches
    kHeld,   // of the artifact store, under a hold
    kLoose,  // of telemetry: it may grow, shrink or go meanwhile, and is taken as far as it is
             // there
  };
  std::string name;  // of the member
  Kind kind = Kind::kFile;
  std::string path{};
  std::string text{};
  std::uint64_t size_bytes = 0;  // when it was listed
  std::optional<Digest> blob{};  // what its content must have as its digest
  std::string needed_by{};       // of a blob: a job
};

// Of the artifact folder, as `state` needs it: FORMAT; the blobs that living jobs read; results,
// checkpoints and archives of jobs that the state or its past knows. FAILED_PRECONDITION names a
// blob that is not there and the job that needs it. Call after the state's log was copied, under
// the hold that began before.
[[nodiscard]] Result<std::vector<Content>> list_artifacts(const artifacts::HeldFiles& files,
                                                          const artifacts::HeldFiles::Hold& hold,
                                                          const std::filesystem::path& root,
                                                          const core::ClusterState& state);

// Logs and curves, all of them: telemetry bounds itself.
[[nodiscard]] Result<std::vector<Content>> list_telemetry(const std::filesystem::path& root);

}  // namespace overwinter::backup
