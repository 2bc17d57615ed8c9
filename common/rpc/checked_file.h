// CheckedFile: a file of a checkpoint on its way into a folder. Internal to this room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/domain/checkpoint.h"
#include "common/formats/digest.h"

namespace overwinter {

// What errno says of that file: NOT_FOUND for one that is not there, else FAILED_PRECONDITION. A
// full disk too: RESOURCE_EXHAUSTED is what a full server says, and is tried again.
[[nodiscard]] Status io_error(const std::string& doing, const std::filesystem::path& file);

// A temporary file beside its place until it is whole, checked and synced. Not thread-safe.
class CheckedFile {
 public:
  // INVALID_ARGUMENT for a name that would leave the folder.
  [[nodiscard]] static Result<std::unique_ptr<CheckedFile>> create(
      const std::filesystem::path& folder, const CheckpointFile& file);
  ~CheckedFile();
  CheckedFile(const CheckedFile&) = delete;
  CheckedFile& operator=(const CheckedFile&) = delete;

  Status write(std::string_view data);
  // DATA_LOSS when size or digest is another one. Call once.
  Status finish();

 private:
  CheckedFile(const CheckpointFile& file, std::filesystem::path place)
      : file_(file), place_(std::move(place)) {}

  const CheckpointFile file_;
  const std::filesystem::path place_;
  std::string temporary_;  // empty: none to remove
  int descriptor_ = -1;
  formats::BlobDigester digester_;
};

}  // namespace overwinter
