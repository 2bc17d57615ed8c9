#include "worker/cuda/device_resource.h"

#include <bit>
#include <cstdint>
#include <new>

#include "common/base/bytes.h"
#include "common/base/check.h"

namespace overwinter::worker::cuda {
namespace {

constexpr std::size_t kAlignmentMax = 4096;

bool is_aligned(const void* memory, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
}

}  // namespace

Result<void*> DeviceResource::allocate(std::size_t bytes, std::size_t alignment) {
  check(std::has_single_bit(alignment) && alignment <= kAlignmentMax,
        "alignment is a power of two to 4096");
  if (bytes == 0) return nullptr;
  if (bytes > SIZE_MAX / 2) {
    return fail(Code::kResourceExhausted, "no device has " + format_bytes(bytes) + " of memory");
  }
  const auto whole = raw_.take(bytes);
  if (!whole || is_aligned(*whole, alignment)) return whole;
  raw_.give(*whole);
  const auto larger = raw_.take(bytes + alignment);
  if (!larger) return larger;
  const auto past = reinterpret_cast<std::uintptr_t>(*larger) % alignment;
  void* const moved = static_cast<std::byte*>(*larger) + (past == 0 ? 0 : alignment - past);
  try {
    const MutexLock lock(mutex_);
    begins_.emplace(moved, *larger);
  } catch (const std::bad_alloc&) {
    raw_.give(*larger);
    return fail(Code::kResourceExhausted, "the host has no memory left to note the device's in");
  }
  return moved;
}

void DeviceResource::deallocate(void* memory, std::size_t, std::size_t) noexcept {
  if (memory == nullptr) return;
  void* begin = memory;
  {
    const MutexLock lock(mutex_);
    if (const auto found = begins_.find(memory); found != begins_.end()) {
      begin = found->second;
      begins_.erase(found);
    }
  }
  raw_.give(begin);
}

}  // namespace overwinter::worker::cuda
