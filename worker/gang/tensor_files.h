// The files of a training's checkpoint: which tensors lie in which, how they are written and read.
//
//   model-00001-of-0000N.safetensors       the weights, under the names of the model
//   optimizer-00001-of-0000N.safetensors   optimizer.first.NAME, optimizer.second.NAME, if any
//   trainer.safetensors                    trainer.step, trainer.position, trainer.seed
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/domain/checkpoint.h"
#include "worker/train/trainer.h"

namespace overwinter::worker {

// The tensors of a shard together; one that is larger by itself has a shard of its own.
inline constexpr std::uint64_t kShardBytesMax = 512 * kMiB;

struct TensorFile {
  CheckpointFileKind kind = CheckpointFileKind::kState;
  std::string name;
  std::vector<TensorView> tensors;  // views of whoever owns them
};

// Deals a trainer's state out, in the order of its tensors.
[[nodiscard]] std::vector<TensorFile> checkpoint_files(std::span<const TensorView> state,
                                                       std::uint64_t shard_bytes = kShardBytesMax);

// Writes a safetensors file that must not exist. RESOURCE_EXHAUSTED when the disk is full. Not
// synced.
Status write_tensor_file(const std::filesystem::path& path, std::span<const TensorView> tensors);

// The tensors of a safetensors file that lies in memory: views of `file`. INVALID_ARGUMENT names
// `file_name`.
[[nodiscard]] Result<std::vector<TensorView>> read_tensor_file(std::span<const std::byte> file,
                                                               const std::string& file_name);

}  // namespace overwinter::worker
