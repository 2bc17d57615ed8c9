#include "worker/memory/logging_resource.h"

#include <utility>

namespace overwinter::worker {

LoggingResource::LoggingResource(MemoryResource& upstream, std::string name, Sink sink)
    : upstream_(upstream), name_(std::move(name)), sink_(std::move(sink)) {}

Result<void*> LoggingResource::allocate(std::size_t bytes, std::size_t alignment) {
  auto memory = upstream_.allocate(bytes, alignment);
  sink_(name_ + (memory ? ": allocate " : ": refuse ") + std::to_string(bytes));
  return memory;
}

void LoggingResource::deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept {
  upstream_.deallocate(memory, bytes, alignment);
  if (memory != nullptr) sink_(name_ + ": free " + std::to_string(bytes));
}

}  // namespace overwinter::worker
