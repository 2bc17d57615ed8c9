#include "worker/memory/host_resource.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <cstring>

#include "common/base/bytes.h"
#include "common/base/check.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMapFrom = 64 * kKiB;
constexpr std::size_t kHugePageFrom = 4 * kMiB;

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

Status no_memory(std::size_t bytes) {
  return error(Code::kResourceExhausted, "the machine has no " + format_bytes(bytes) +
                                             " of memory left: " + std::strerror(errno));
}

}  // namespace

Result<void*> HostResource::allocate(std::size_t bytes, std::size_t alignment) {
  check(std::has_single_bit(alignment) && alignment <= kPage,
        "alignment is a power of two to 4096");
  if (bytes == 0) return nullptr;
  if (bytes > SIZE_MAX / 2) return fail(no_memory(bytes));
  if (bytes < kMapFrom) {
    void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory == nullptr) return fail(no_memory(bytes));
    return memory;
  }
  void* memory = ::mmap(nullptr, whole_pages(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail(no_memory(bytes));
  if (bytes >= kHugePageFrom) ::madvise(memory, whole_pages(bytes), MADV_HUGEPAGE);
  return memory;
}

void HostResource::deallocate(void* memory, std::size_t bytes, std::size_t) noexcept {
  if (memory == nullptr) return;
  if (bytes < kMapFrom) {
    std::free(memory);
  } else {
    ::munmap(memory, whole_pages(bytes));
  }
}

}  // namespace overwinter::worker
