#include "worker/memory/shared_cache.h"

#include <algorithm>
#include <new>

namespace overwinter::worker {

std::size_t SharedCache::put(std::size_t index, std::span<void* const> blocks) noexcept {
  const std::size_t block_bytes = small_class_bytes(index);
  const std::size_t count = std::min(blocks.size(), (kBytesMax - bytes_) / block_bytes);
  try {
    bins_[index].insert(bins_[index].end(), blocks.begin(),
                        blocks.begin() + static_cast<std::ptrdiff_t>(count));
  } catch (const std::bad_alloc&) {
    return 0;
  }
  bytes_ += count * block_bytes;
  return count;
}

std::size_t SharedCache::take(std::size_t index, std::span<void*> blocks) {
  std::vector<void*>& bin = bins_[index];
  const std::size_t count = std::min(blocks.size(), bin.size());
  std::copy(bin.end() - static_cast<std::ptrdiff_t>(count), bin.end(), blocks.begin());
  bin.resize(bin.size() - count);
  bytes_ -= count * small_class_bytes(index);
  return count;
}

}  // namespace overwinter::worker
