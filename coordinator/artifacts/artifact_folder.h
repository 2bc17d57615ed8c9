// The folder that blobs and results live in, with the number of its format.
#pragma once

#include <string>

#include "common/base/result.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

inline constexpr int kArtifactFormat = 1;

// Makes `root` (its parent must exist) and writes the format number, or checks the one that is
// there: kFailedPrecondition, with both numbers, when it is not ours. Call before BlobStore and
// ResultStore open it. One coordinator at a time owns the folder; its store's lock sees to that.
[[nodiscard]] Status open_artifact_folder(FilePort& files, const std::string& root);

}  // namespace overwinter::artifacts
