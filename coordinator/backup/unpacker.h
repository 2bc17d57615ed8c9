// Unpacker: a backup's members into a folder, as they come. Nothing of them is proven yet.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>

#include "common/formats/tar.h"

namespace overwinter::backup {

// Not thread-safe. Syncs nothing.
class Unpacker final : public formats::TarSink {
 public:
  // `keys` is handed the sealed keys, when they have come whole.
  Unpacker(std::filesystem::path folder, std::function<Status(const std::string&)> keys);
  ~Unpacker() override;

  // INVALID_ARGUMENT: a name that no backup has. FAILED_PRECONDITION: cannot be written.
  Status begin(const formats::TarMember& member) override;
  Status data(std::span<const std::byte> piece) override;
  Status end() override;

 private:
  [[nodiscard]] Status make_folders(const std::filesystem::path& name);

  const std::filesystem::path folder_;
  const std::function<Status(const std::string&)> keys_;
  std::set<std::filesystem::path> made_;
  std::filesystem::path place_;  // of the file that is written
  int descriptor_ = -1;
  bool in_keys_ = false;
  std::string sealed_;
};

}  // namespace overwinter::backup
