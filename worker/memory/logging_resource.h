// Says each allocation in one line, for finding who holds what.
#pragma once

#include <functional>
#include <string>

#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

class LoggingResource final : public MemoryResource {
 public:
  using Sink = std::function<void(const std::string& line)>;  // called from any thread

  LoggingResource(MemoryResource& upstream, std::string name, Sink sink);

  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;

 private:
  MemoryResource& upstream_;
  const std::string name_;
  const Sink sink_;
};

}  // namespace overwinter::worker
