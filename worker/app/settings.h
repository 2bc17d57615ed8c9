// What a worker keeps in its data folder: who it is, where its coordinator is, its devices.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/domain/ids.h"
#include "worker/app/options.h"

namespace overwinter::worker {

// DIR/settings.json, written when the join has succeeded.
struct Settings {
  std::uint64_t worker = 0;
  std::string name;
  std::string cluster;
  std::vector<std::string> addresses;
  std::vector<DeviceSpec> devices;  // as asked for; empty: all that the machine has
};

// NOT_FOUND: has not joined.
[[nodiscard]] Result<Settings> load_settings(const std::filesystem::path& folder);
Status save_settings(const std::filesystem::path& folder, const Settings& settings);

// A new incarnation, larger than every one before, and durable before it is used.
[[nodiscard]] Result<Incarnation> next_incarnation(const std::filesystem::path& folder,
                                                   std::uint64_t wall_ms);
// The generation of the coordinator's store that it last spoke to; 0: none.
[[nodiscard]] Generation load_generation(const std::filesystem::path& folder);
void save_generation(const std::filesystem::path& folder, Generation generation);

// An exclusive lock on the folder as long as it lives.
class FolderLock {
 public:
  // FAILED_PRECONDITION: another worker runs with it.
  [[nodiscard]] static Result<FolderLock> take(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace overwinter::worker
