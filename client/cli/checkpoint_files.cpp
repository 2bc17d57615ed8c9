#include "client/cli/checkpoint_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

#include "client/cli/model_files.h"
#include "client/cli/progress.h"

namespace overwinter::cli {

namespace fs = std::filesystem;

Result<std::string> checkpoint_name(client::Client& client, const std::string& text) {
  const std::size_t at = text.rfind('@');
  const bool has_step = at != std::string::npos && at != 0;
  const std::string step = has_step ? text.substr(at + 1) : "latest";
  const bool digits =
      std::all_of(step.begin(), step.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (has_step && (step.empty() || !digits)) {
    return fail(Code::kInvalidArgument, "a checkpoint is JOB or JOB@STEP, and STEP a number",
                "CHECKPOINT", "`overwinter checkpoints list JOB` shows the steps");
  }
  auto job = client.resolve_job(has_step ? text.substr(0, at) : text);
  if (!job) return job;
  return *job + "/checkpoints/" + step;
}

Status download_weights(const Globals& globals, client::Client& client, const std::string& name,
                        const fs::path& to) {
  // Beside the output, so that a rename is enough at the end.
  const auto scratch = ScratchFolder::make(to.has_parent_path() ? to.parent_path() : ".");
  if (!scratch) return scratch.error();
  Progress bar("download", globals.output.quiet);
  const auto files = client.download_checkpoint(
      name, {CheckpointFileKind::kWeights}, scratch->path().string(),
      [&](std::uint64_t done, std::uint64_t total) { bar.bytes(done, total); });
  if (!files && files.error().code == Code::kNotFound && files.error().field == "kinds") {
    return error(Code::kInvalidArgument,
                 "the checkpoint has no weights of its own: the program chose its files", "-o",
                 "name a folder: -o DIR/");
  }
  if (!files) return files.error();
  std::vector<fs::path> shards;
  for (const CheckpointFile& file : *files) shards.push_back(scratch->path() / file.name);
  return merge_shards(shards, to);
}

Result<ScratchFolder> ScratchFolder::make(const fs::path& parent) {
  std::random_device random;
  const fs::path path = parent / fmt::format(".overwinter-{:08x}{:08x}", random(), random());
  std::error_code failed;
  fs::create_directories(parent, failed);
  if (!failed) fs::create_directory(path, failed);
  if (failed) {
    return fail(Code::kInvalidArgument,
                "cannot make a folder in " + parent.string() + ": " + failed.message());
  }
  fs::permissions(path, fs::perms::owner_all, failed);
  return ScratchFolder(path);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace overwinter::cli
