// Mutex and MutexLock that Clang's thread-safety analysis understands. A field shared by threads is
// written as `int x OW_GUARDED_BY(mutex_);`.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define OW_ANNOTATE(x) __attribute__((x))
#else
#define OW_ANNOTATE(x)
#endif
#define OW_GUARDED_BY(m) OW_ANNOTATE(guarded_by(m))
#define OW_REQUIRES(...) OW_ANNOTATE(requires_capability(__VA_ARGS__))
#define OW_EXCLUDES(...) OW_ANNOTATE(locks_excluded(__VA_ARGS__))

namespace overwinter {

class OW_ANNOTATE(capability("mutex")) Mutex {
 public:
  void lock() OW_ANNOTATE(acquire_capability()) { mutex_.lock(); }
  void unlock() OW_ANNOTATE(release_capability()) { mutex_.unlock(); }
  bool try_lock() OW_ANNOTATE(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

class OW_ANNOTATE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) OW_ANNOTATE(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() OW_ANNOTATE(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits on a Mutex that the caller holds: condition.wait(mutex_) inside a MutexLock.
using Condition = std::condition_variable_any;

}  // namespace overwinter
