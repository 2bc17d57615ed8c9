// The store's folder on disk: one owner, and a reserve of space. This room's files alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "common/base/mutex.h"
#include "common/base/result.h"

namespace overwinter::store {

// Holds the folder for this process until it goes out of scope or the process ends, however it
// ends.
class FolderLock {
 public:
  // Makes the folder (0700) when it is not there. FAILED_PRECONDITION: somebody else holds it;
  // names the process where it can.
  [[nodiscard]] static Result<FolderLock> take(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

// A file that only takes up space, so that a full disk leaves the store something to go on with.
// Thread-safe once it is built.
class SpaceReserve {
 public:
  // Takes the space, but not the last there is: as much again must stay free.
  SpaceReserve(std::filesystem::path file, std::uint64_t bytes);
  // Before there is one: gives up what an earlier run took.
  static void give_up(const std::filesystem::path& file);
  // Takes the space where it is free; in_use() stays true where it is not.
  void restore();
  // The space is free when it returns, whoever gave it up. False: it was given up before.
  bool give_up();
  [[nodiscard]] bool in_use() const { return in_use_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  const std::filesystem::path file_;
  const std::uint64_t bytes_;
  Mutex mutex_;  // the file
  std::atomic<bool> in_use_{true};
};

// Bytes that this process may still write there. 0 when that cannot be found out.
[[nodiscard]] std::uint64_t free_bytes(const std::filesystem::path& folder);

}  // namespace overwinter::store
