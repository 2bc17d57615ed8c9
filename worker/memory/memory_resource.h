// MemoryResource: where a device's memory comes from. Adaptors are resources over a resource
// (limit, statistics, logging), so that each does one thing. The shape follows RMM's memory
// resources.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/result.h"

namespace overwinter::worker {

// Alignment of every allocation unless more is asked: a cache line, and enough for AVX-512.
inline constexpr std::size_t kDefaultAlignment = 64;

// All calls are thread-safe. A resource outlives what it has handed out.
class MemoryResource {
 public:
  virtual ~MemoryResource() = default;

  // `bytes` of memory aligned to `alignment` (a power of two, at most 4096). 0 bytes give a null
  // pointer and count nothing. RESOURCE_EXHAUSTED says in one sentence why there is none. Content
  // is unspecified.
  [[nodiscard]] virtual Result<void*> allocate(std::size_t bytes,
                                               std::size_t alignment = kDefaultAlignment) = 0;
  // Exactly what allocate was asked and has given. A null pointer does nothing.
  virtual void deallocate(void* memory, std::size_t bytes,
                          std::size_t alignment = kDefaultAlignment) noexcept = 0;
};

// An owned piece of memory. Movable. Must end before its resource.
class Buffer {
 public:
  Buffer() = default;
  [[nodiscard]] static Result<Buffer> make(MemoryResource& resource, std::size_t bytes,
                                           std::size_t alignment = kDefaultAlignment);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  [[nodiscard]] std::byte* data() { return static_cast<std::byte*>(data_); }
  [[nodiscard]] const std::byte* data() const { return static_cast<const std::byte*>(data_); }
  [[nodiscard]] std::size_t size() const { return bytes_; }
  template <class T>
  [[nodiscard]] T* as() {
    return static_cast<T*>(data_);
  }

 private:
  void release() noexcept;

  MemoryResource* resource_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t alignment_ = kDefaultAlignment;
};

}  // namespace overwinter::worker
