// The outputs of a job as one file, for their way to the coordinator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/formats/archive.h"

namespace overwinter::worker {

struct OutputArchive {
  std::filesystem::path file;  // common/formats/archive.h
  std::vector<std::string> missing;
};
// What `outputs` names below `work`, copied into `scratch` (made, and the archive lies in it)
// without following links; "." is all of it. RESOURCE_EXHAUSTED: over `bytes_max`, or the disk is
// full.
[[nodiscard]] Result<OutputArchive> archive_outputs(
    const std::filesystem::path& work, const std::vector<std::string>& outputs,
    const std::filesystem::path& scratch, std::uint64_t bytes_max = formats::kOutputsBytesMax);

}  // namespace overwinter::worker
