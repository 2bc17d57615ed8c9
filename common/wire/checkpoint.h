// Checkpoints ↔ protobuf. to_proto() is total; from_proto() refuses what makes no sense.
// Thread-safe.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/domain/checkpoint.h"
#include "overwinter/v1/checkpoint.pb.h"

namespace overwinter::wire {

[[nodiscard]] v1::CheckpointFile to_proto(const CheckpointFile& file);
[[nodiscard]] Result<CheckpointFile> from_proto(const v1::CheckpointFile& file);

// `name`: the resource's. Without `with_files` the list stays empty.
[[nodiscard]] v1::Checkpoint to_proto(const CheckpointManifest& manifest, std::string name,
                                      bool with_files = true);
// All but capability and seat, of which the manifest has job and attempt.
[[nodiscard]] v1::CommitCheckpointRequest to_commit(const CheckpointManifest& manifest);
// Has passed check_checkpoint; `stored` is not set.
[[nodiscard]] Result<CheckpointManifest> from_commit(const v1::CommitCheckpointRequest& request,
                                                     const SeatKey& seat);
// What a coordinator answered. `job` is set by the caller's knowledge.
[[nodiscard]] Result<CheckpointManifest> from_proto(const v1::Checkpoint& checkpoint, JobId job);

}  // namespace overwinter::wire
