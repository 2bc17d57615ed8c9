#include "worker/runtime/tile_spool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/bytes.h"

namespace overwinter::worker {
namespace {

constexpr std::uint64_t kBytesMax = kGiB;
constexpr std::uint64_t kSlotsMax = 64;
constexpr std::uint64_t kPage = 4096;

Status disk_error(const std::string& doing) {
  const Code code = errno == ENOSPC ? Code::kResourceExhausted : Code::kFailedPrecondition;
  return error(code, "cannot " + doing + " finished tiles on disk: " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<TileSpool>> TileSpool::make(const std::filesystem::path& folder,
                                                   std::uint64_t slot_bytes) {
  slot_bytes = (slot_bytes + kPage - 1) / kPage * kPage;
  const std::uint64_t slots = slot_bytes == 0 ? 0 : std::min(kSlotsMax, kBytesMax / slot_bytes);
  if (slots == 0) return fail(Code::kResourceExhausted, "a tile is too large to wait on disk");
  const int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail(disk_error("keep"));
  void* map = MAP_FAILED;
  if (::ftruncate(descriptor, static_cast<off_t>(slots * slot_bytes)) == 0) {
    map = ::mmap(nullptr, slots * slot_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  }
  if (map == MAP_FAILED) {
    const Status failed = disk_error("keep");
    ::close(descriptor);
    return fail(failed);
  }
  return std::unique_ptr<TileSpool>(
      new TileSpool(descriptor, slot_bytes, slots, static_cast<const std::byte*>(map)));
}

TileSpool::TileSpool(int descriptor, std::uint64_t slot_bytes, std::size_t slots,
                     const std::byte* map)
    : descriptor_(descriptor), slot_bytes_(slot_bytes), map_(map), taken_(slots, false) {}

TileSpool::~TileSpool() {
  ::munmap(const_cast<std::byte*>(map_), taken_.size() * slot_bytes_);
  ::close(descriptor_);
}

Result<std::size_t> TileSpool::put(std::span<const std::byte> tile) {
  const auto free = std::find(taken_.begin(), taken_.end(), false);
  if (free == taken_.end()) {
    return fail(Code::kResourceExhausted, "no more finished tiles may wait on disk");
  }
  const auto slot = static_cast<std::size_t>(free - taken_.begin());
  // Written, not stored through the map: a full disk is an error here and would be a signal there.
  std::size_t done = 0;
  while (done < tile.size()) {
    const ssize_t n = ::pwrite(descriptor_, tile.data() + done, tile.size() - done,
                               static_cast<off_t>(slot * slot_bytes_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(disk_error("keep"));
    done += static_cast<std::size_t>(n);
  }
  taken_[slot] = true;
  return slot;
}

std::span<const std::byte> TileSpool::tile(std::size_t slot, std::uint64_t bytes) const {
  return {map_ + slot * slot_bytes_, bytes};
}

void TileSpool::release(std::size_t slot) {
  taken_[slot] = false;
}

}  // namespace overwinter::worker
