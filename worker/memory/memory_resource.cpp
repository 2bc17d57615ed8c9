#include "worker/memory/memory_resource.h"

#include <utility>

namespace overwinter::worker {

Result<Buffer> Buffer::make(MemoryResource& resource, std::size_t bytes, std::size_t alignment) {
  auto memory = resource.allocate(bytes, alignment);
  if (!memory) return fail(memory.error());
  Buffer buffer;
  buffer.resource_ = &resource;
  buffer.data_ = *memory;
  buffer.bytes_ = bytes;
  buffer.alignment_ = alignment;
  return buffer;
}

Buffer::Buffer(Buffer&& other) noexcept
    : resource_(std::exchange(other.resource_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      alignment_(other.alignment_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  release();
  resource_ = std::exchange(other.resource_, nullptr);
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  alignment_ = other.alignment_;
  return *this;
}

Buffer::~Buffer() {
  release();
}

void Buffer::release() noexcept {
  if (resource_ != nullptr) resource_->deallocate(data_, bytes_, alignment_);
  resource_ = nullptr;
}

}  // namespace overwinter::worker
