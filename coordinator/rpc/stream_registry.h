// StreamRegistry: the open streams of each principal, so that revoking one ends them at once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/domain/principal.h"

namespace overwinter::rpc {

// Thread-safe.
class StreamRegistry {
 public:
  // `end` is called at most once, under this registry's lock: it must not block nor call back into
  // it.
  std::uint64_t add(PrincipalKind kind, std::uint64_t id, std::function<void(const Status&)> end);
  // After it returns `end` is not called any more.
  void remove(std::uint64_t stream);
  void end_all(PrincipalKind kind, std::uint64_t id, const Status& status);
  // All streams of everybody, with this status: the coordinator stops.
  void end_everything(const Status& status);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Stream {
    PrincipalKind kind;
    std::uint64_t id;
    std::function<void(const Status&)> end;
  };
  mutable Mutex mutex_;
  std::map<std::uint64_t, Stream> streams_ OW_GUARDED_BY(mutex_);
  std::uint64_t next_ OW_GUARDED_BY(mutex_) = 1;
};

}  // namespace overwinter::rpc
