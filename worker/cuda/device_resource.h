// A device's memory as a MemoryResource, and what stands over it.
#pragma once

#include <string>
#include <unordered_map>

#include "common/base/mutex.h"
#include "worker/memory/limiting_resource.h"
#include "worker/memory/memory_resource.h"
#include "worker/memory/pool_resource.h"

namespace overwinter::worker::cuda {

// What a driver offers: blocks of its own alignment. Thread-safe.
class RawDeviceMemory {
 public:
  virtual ~RawDeviceMemory() = default;
  // Not of 0 bytes. RESOURCE_EXHAUSTED when there is none.
  [[nodiscard]] virtual Result<void*> take(std::size_t bytes) = 0;
  virtual void give(void* memory) noexcept = 0;
};

// Each allocation is one of the driver's. CUDA promises 256 bytes of alignment (Programming Guide,
// "Device Memory Accesses"); where more is asked and was not given by luck, the block is taken
// larger and its begin is kept here. The memory itself is never touched.
class DeviceResource final : public MemoryResource {
 public:
  explicit DeviceResource(RawDeviceMemory& raw) : raw_(raw) {}
  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;

 private:
  RawDeviceMemory& raw_;
  Mutex mutex_;
  std::unordered_map<void*, void*> begins_ OW_GUARDED_BY(mutex_);  // of those that were moved
};

// A device's memory as its user has it: a pool over a bound over the device, so that what the pool
// keeps counts too. Ends before the device, and after all that it has handed out.
class BoundedPool {
 public:
  BoundedPool(MemoryResource& device, std::size_t allowed_bytes, const std::string& of_what)
      : limit_(device, allowed_bytes, of_what), pool_(limit_) {}
  [[nodiscard]] PoolResource& memory() { return pool_; }
  // What the device has given, cut or free.
  [[nodiscard]] std::size_t held_bytes() const { return limit_.held_bytes(); }
  [[nodiscard]] std::size_t peak_bytes() const { return limit_.peak_bytes(); }

 private:
  LimitingResource limit_;
  PoolResource pool_;
};

}  // namespace overwinter::worker::cuda
