// TileSpool: finished tiles that cannot be delivered now, on disk, so that a seat without its
// coordinator goes on computing. One file without a name: it is gone with the process, whatever
// ends it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker {

// One seat's. Not synchronised, but a slot that was put may be read by another thread.
class TileSpool {
 public:
  // Room for tiles of `slot_bytes`, 64 and 1 GiB at most. Takes no disk space yet.
  [[nodiscard]] static Result<std::unique_ptr<TileSpool>> make(const std::filesystem::path& folder,
                                                               std::uint64_t slot_bytes);
  ~TileSpool();
  TileSpool(const TileSpool&) = delete;
  TileSpool& operator=(const TileSpool&) = delete;

  // The slot that holds it now. RESOURCE_EXHAUSTED when all are taken or the disk is full.
  [[nodiscard]] Result<std::size_t> put(std::span<const std::byte> tile);
  // What was put (`bytes` of it), read-only, until release(): pages of the file, not of the seat.
  [[nodiscard]] std::span<const std::byte> tile(std::size_t slot, std::uint64_t bytes) const;
  void release(std::size_t slot);

 private:
  TileSpool(int descriptor, std::uint64_t slot_bytes, std::size_t slots, const std::byte* map);

  const int descriptor_;
  const std::uint64_t slot_bytes_;
  const std::byte* const map_;
  std::vector<bool> taken_;
};

}  // namespace overwinter::worker
