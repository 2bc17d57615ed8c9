// Tells each move, for finding who holds what (line_of) and for playing it again (TraceRecorder).
#pragma once

#include <functional>
#include <string>

#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

struct MemoryMove {
  enum class Kind { kAllocate, kRefuse, kFree };
  Kind kind = Kind::kAllocate;
  const void* memory = nullptr;  // null: refused, or nothing was asked for
  std::size_t bytes = 0;
  std::size_t alignment = kDefaultAlignment;
};

// "allocate 128", "refuse 128", "free 128".
[[nodiscard]] std::string line_of(const MemoryMove& move);

class LoggingResource final : public MemoryResource {
 public:
  // Called from any thread, in an order in which no memory is told twice at once: behind an
  // allocation, before a free. Null pointers that are given back are not told.
  using Sink = std::function<void(const MemoryMove& move)>;

  LoggingResource(MemoryResource& upstream, Sink sink);

  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;

 private:
  MemoryResource& upstream_;
  const Sink sink_;
};

}  // namespace overwinter::worker
