// Copies of files that a job wrote, into a folder of the daemon's own.
#pragma once

#include <filesystem>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "worker/exec/inside.h"

namespace overwinter::worker {

// The file `what` of `folder` (worker/exec/inside.h: no link is followed) as `to`, which must not
// exist; its parents are made. The digest of a blob. ABORTED: it has another size now;
// RESOURCE_EXHAUSTED: the disk is full.
[[nodiscard]] Result<Digest> copy_inside(const std::filesystem::path& folder,
                                         const exec::InsideFile& what,
                                         const std::filesystem::path& to);

}  // namespace overwinter::worker
