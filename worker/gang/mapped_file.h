// A file of the job, read in place.
#pragma once

#include <cstddef>
#include <span>

#include "common/base/result.h"
#include "overwinter/v1/local.pb.h"

namespace overwinter::worker {

// Mapped read-only, so its pages are the page cache's and count for no seat. Movable.
class MappedFile {
 public:
  // The daemon laid it there and lets nobody shorten it. INVALID_ARGUMENT when it has not the size
  // that is said (0: any), NOT_FOUND or INTERNAL when it cannot be opened.
  [[nodiscard]] static Result<MappedFile> open(const v1::LocalFile& file);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(map_), size_};
  }
  // Lets go of the pages that hold `part` of some file's bytes(), so that a file that is read once
  // is not all of it in this process's memory; what is read again comes back.
  static void release(std::span<const std::byte> part);

 private:
  MappedFile() = default;

  void* map_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace overwinter::worker
