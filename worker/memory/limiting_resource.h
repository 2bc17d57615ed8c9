// A hard limit over another resource: a seat's memory, a device's budget.
#pragma once

#include <string>

#include "common/base/mutex.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Never hands out more than `allowed_bytes` at once, charges included. Its refusal says what was
// asked, held and allowed.
class LimitingResource final : public MemoryResource {
 public:
  // Memory that is held by somebody who does not allocate here (a library's workspace) and counts
  // all the same. Given back at its end; must end before its resource.
  class Charge {
   public:
    Charge() = default;
    Charge(Charge&& other) noexcept;
    Charge& operator=(Charge&& other) noexcept;
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge();
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

   private:
    friend class LimitingResource;
    LimitingResource* resource_ = nullptr;
    std::size_t bytes_ = 0;
  };

  // `of_what`: whose limit it is, for the refusal: "the seat", "device 0".
  LimitingResource(MemoryResource& upstream, std::size_t allowed_bytes, std::string of_what);

  [[nodiscard]] Result<void*> allocate(std::size_t bytes, std::size_t alignment) override;
  void deallocate(void* memory, std::size_t bytes, std::size_t alignment) noexcept override;
  // `for_what` stands in the refusal.
  [[nodiscard]] Result<Charge> charge(std::size_t bytes, const std::string& for_what);

  [[nodiscard]] std::size_t allowed_bytes() const { return allowed_; }
  [[nodiscard]] std::size_t held_bytes() const;
  // The most that was held at once.
  [[nodiscard]] std::size_t peak_bytes() const;

 private:
  Status take(std::size_t bytes, const std::string& for_what);
  void give_back(std::size_t bytes) noexcept;

  MemoryResource& upstream_;
  const std::size_t allowed_;
  const std::string of_what_;
  mutable Mutex mutex_;
  std::size_t held_ OW_GUARDED_BY(mutex_) = 0;
  std::size_t peak_ OW_GUARDED_BY(mutex_) = 0;
};

}  // namespace overwinter::worker
