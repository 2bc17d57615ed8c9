// CheckpointManifest: what one checkpoint of a job is made of. A training's shards or the files of
// the user's own program; whole or nothing.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/domain/ids.h"

namespace overwinter {

enum class CheckpointFileKind : std::uint8_t {
  kWeights = 1,    // safetensors: the model's parameters
  kOptimizer = 2,  // safetensors: moments
  kState = 3,      // safetensors: random state and what else a run goes on from
  kUserFile = 4,   // of an exec job's checkpoint_dir, as it is
};

struct CheckpointFile {
  std::string name;  // a relative path, see check_checkpoint_path
  std::uint64_t size_bytes = 0;
  Digest digest;  // of a blob: common/formats/digest.h
  CheckpointFileKind kind = CheckpointFileKind::kWeights;
  friend bool operator==(const CheckpointFile&, const CheckpointFile&) = default;
};

// Orders the checkpoints of one job: what a later attempt says counts more than what an earlier one
// said, at whatever step.
struct CheckpointKey {
  AttemptNumber attempt = 0;
  std::uint64_t step = 0;
  friend auto operator<=>(const CheckpointKey&, const CheckpointKey&) = default;
};

struct CheckpointManifest {
  JobId job;
  AttemptNumber attempt = 0;
  std::uint64_t step = 0;  // optimiser steps done; of an exec job what it said, else a count
  // Over all parameters in the order of their names, whichever files they lie in; zero for an exec
  // job.
  Digest parameters;
  std::uint32_t world_size = 0;     // ranks that wrote it
  std::uint64_t data_position = 0;  // samples taken from the data so far, over all ranks
  std::optional<double> loss;       // at that step; finite
  Time stored;                      // when the coordinator had it whole; cluster time
  std::vector<CheckpointFile> files;

  [[nodiscard]] CheckpointKey key() const { return {attempt, step}; }
  [[nodiscard]] std::uint64_t total_bytes() const;  // of a manifest that was checked
  // Null when it has no such file.
  [[nodiscard]] const CheckpointFile* find(std::string_view name) const;
  friend bool operator==(const CheckpointManifest&, const CheckpointManifest&) = default;
};

inline constexpr std::size_t kCheckpointFilesMax = 4096;
inline constexpr std::size_t kCheckpointNamesBytesMax = std::size_t{1} << 20;  // all names together
inline constexpr std::size_t kCheckpointPathMax = 1024;
inline constexpr std::size_t kCheckpointPathPartMax = 255;
inline constexpr std::uint32_t kCheckpointWorldMax = 65'536;

// A path that stays inside the folder that it is put into: parts between single '/', none empty,
// "." or "..", no control characters, no backslash, UTF-8. kInvalidArgument says what is wrong.
[[nodiscard]] Status check_checkpoint_path(std::string_view path);

// kInvalidArgument: no job, attempt or rank; no file, too many, or two of one name, or one that
// would be a folder of another; sizes that overflow; a loss that is not finite. `field` names it.
[[nodiscard]] Status check_checkpoint(const CheckpointManifest& manifest);

[[nodiscard]] std::string_view checkpoint_file_kind_name(CheckpointFileKind kind);  // "weights"
[[nodiscard]] Result<CheckpointFileKind> parse_checkpoint_file_kind(std::string_view name);

}  // namespace overwinter
