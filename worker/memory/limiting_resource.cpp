#include "worker/memory/limiting_resource.h"

#include <algorithm>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/check.h"

namespace overwinter::worker {

LimitingResource::Charge::Charge(Charge&& other) noexcept
    : resource_(std::exchange(other.resource_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

LimitingResource::Charge& LimitingResource::Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  if (resource_ != nullptr) resource_->give_back(bytes_);
  resource_ = std::exchange(other.resource_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

LimitingResource::Charge::~Charge() {
  if (resource_ != nullptr) resource_->give_back(bytes_);
}

LimitingResource::LimitingResource(MemoryResource& upstream, std::size_t allowed_bytes,
                                   std::string of_what)
    : upstream_(upstream), allowed_(allowed_bytes), of_what_(std::move(of_what)) {}

Status LimitingResource::take(std::size_t bytes, const std::string& for_what) {
  const MutexLock lock(mutex_);
  if (bytes > allowed_ - held_) {
    return error(Code::kResourceExhausted, "out of the memory of " + of_what_ + ": " +
                                               format_bytes(bytes) + " asked" + for_what + ", " +
                                               format_bytes(held_) + " held, " +
                                               format_bytes(allowed_) + " allowed");
  }
  held_ += bytes;
  peak_ = std::max(peak_, held_);
  return Status::success();
}

void LimitingResource::give_back(std::size_t bytes) noexcept {
  const MutexLock lock(mutex_);
  check(bytes <= held_, "no more is given back than was taken");
  held_ -= bytes;
}

Result<void*> LimitingResource::allocate(std::size_t bytes, std::size_t alignment) {
  if (Status taken = take(bytes, {}); !taken.ok()) return fail(std::move(taken));
  auto memory = upstream_.allocate(bytes, alignment);
  if (!memory) give_back(bytes);
  return memory;
}

void LimitingResource::deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept {
  upstream_.deallocate(memory, bytes, alignment);
  give_back(bytes);
}

Result<LimitingResource::Charge> LimitingResource::charge(std::size_t bytes,
                                                          const std::string& for_what) {
  if (Status taken = take(bytes, " for " + for_what); !taken.ok()) return fail(std::move(taken));
  Charge charge;
  charge.resource_ = this;
  charge.bytes_ = bytes;
  return charge;
}

std::size_t LimitingResource::held_bytes() const {
  const MutexLock lock(mutex_);
  return held_;
}

std::size_t LimitingResource::peak_bytes() const {
  const MutexLock lock(mutex_);
  return peak_;
}

}  // namespace overwinter::worker
