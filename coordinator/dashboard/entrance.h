// Entrance: a port's admission, which ends the connection whose place another takes. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "coordinator/runtime/admission.h"

namespace overwinter::dashboard {

class Entrance {
 public:
  using Id = runtime::Admission::Id;

  explicit Entrance(runtime::Admission& admission) : admission_(admission) {}

  // nullopt: it is not taken. Runs the `end` of the one that makes room.
  [[nodiscard]] std::optional<Id> enter(const std::string& address) {
    const auto entry = admission_.enter(address);
    if (!entry) return std::nullopt;
    std::function<void()> end;
    if (entry->displaced) {
      const MutexLock lock(mutex_);
      const auto at = ends_.find(*entry->displaced);
      if (at != ends_.end()) end = at->second;
    }
    if (end) end();
    return entry->id;
  }
  // How it is ended, on the thread that calls enter().
  void ended_by(Id id, std::function<void()> end) {
    const MutexLock lock(mutex_);
    ends_[id] = std::move(end);
  }
  void leave(Id id) {
    admission_.leave(id);
    const MutexLock lock(mutex_);
    ends_.erase(id);
  }

 private:
  runtime::Admission& admission_;
  Mutex mutex_;
  std::map<Id, std::function<void()>> ends_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::dashboard
