#include "worker/memory/logging_resource.h"

#include <utility>

namespace overwinter::worker {

std::string line_of(const MemoryMove& move) {
  const char* what = move.kind == MemoryMove::Kind::kAllocate ? "allocate "
                     : move.kind == MemoryMove::Kind::kRefuse ? "refuse "
                                                              : "free ";
  return what + std::to_string(move.bytes);
}

LoggingResource::LoggingResource(MemoryResource& upstream, Sink sink)
    : upstream_(upstream), sink_(std::move(sink)) {}

Result<void*> LoggingResource::allocate(std::size_t bytes, std::size_t alignment) {
  auto memory = upstream_.allocate(bytes, alignment);
  const auto kind = memory ? MemoryMove::Kind::kAllocate : MemoryMove::Kind::kRefuse;
  sink_({kind, memory ? *memory : nullptr, bytes, alignment});
  return memory;
}

void LoggingResource::deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept {
  if (memory != nullptr) sink_({MemoryMove::Kind::kFree, memory, bytes, alignment});
  upstream_.deallocate(memory, bytes, alignment);
}

}  // namespace overwinter::worker
