// ConnectionCuts: how each open connection is ended when another takes its place. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "common/base/mutex.h"
#include "coordinator/runtime/admission.h"

namespace overwinter::dashboard {

class ConnectionCuts {
 public:
  using Id = runtime::Admission::Id;

  void add(Id id, std::function<void()> cut) {
    const MutexLock lock(mutex_);
    cuts_[id] = std::move(cut);
  }
  void remove(Id id) {
    const MutexLock lock(mutex_);
    cuts_.erase(id);
  }
  // Nothing where it is over already.
  void cut(Id id) {
    std::function<void()> cut;
    {
      const MutexLock lock(mutex_);
      if (const auto at = cuts_.find(id); at != cuts_.end()) cut = at->second;
    }
    if (cut) cut();  // its last reference may go with it, which removes it
  }

 private:
  Mutex mutex_;
  std::map<Id, std::function<void()>> cuts_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::dashboard
