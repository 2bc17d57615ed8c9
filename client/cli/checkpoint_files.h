// Checkpoints by the names that people write, and their weights as one file.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "client/cli/globals.h"

namespace overwinter::cli {

// JOB[@STEP] to projects/P/jobs/J/checkpoints/STEP, the newest without a step. "@last" is a job,
// not a step.
[[nodiscard]] Result<std::string> checkpoint_name(client::Client& client, const std::string& text);

// The weights of a checkpoint as one safetensors file: whole or not there. INVALID_ARGUMENT: it has
// none of its own.
[[nodiscard]] Status download_weights(const Globals& globals, client::Client& client,
                                      const std::string& name, const std::filesystem::path& to);

// A folder of one's own that goes with this object.
class ScratchFolder {
 public:
  [[nodiscard]] static Result<ScratchFolder> make(const std::filesystem::path& parent);
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace overwinter::cli
