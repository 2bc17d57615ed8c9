#include "coordinator/artifacts/artifact_folder.h"

#include <fmt/format.h>

#include "coordinator/artifacts/small_file.h"

namespace overwinter::artifacts {
namespace {

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Status open_artifact_folder(FilePort& files, const std::string& root) {
  if (Status status = files.make_folder(root); !status.ok()) return status;
  if (Status status = files.sync_folder(parent_of(root)); !status.ok()) return status;
  const std::string ours = fmt::format("overwinter-artifacts {}\n", kArtifactFormat);
  const Result<std::string> found = read_small_file(files, root + "/FORMAT");
  if (!found && found.error().code == Code::kNotFound)
    return write_small_file(files, root, "FORMAT", ours);
  if (!found) return found.error();
  if (*found == ours) return Status::success();
  return error(Code::kFailedPrecondition,
               fmt::format("{} is of another format than {}, which this version reads.", root,
                           kArtifactFormat),
               {}, "Start the version of Overwinter that wrote it.");
}

}  // namespace overwinter::artifacts
