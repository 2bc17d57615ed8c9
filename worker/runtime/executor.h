// Executor: a device's thread, which does what is posted to it, in order.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "common/base/mutex.h"

namespace overwinter::worker {

// What is posted and not begun when it is destroyed is dropped.
class Executor {
 public:
  Executor() : thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void post(std::function<void()> task);  // thread-safe; never blocks

 private:
  void run(const std::stop_token& stop);

  Mutex mutex_;
  Condition changed_;
  std::deque<std::function<void()>> tasks_ OW_GUARDED_BY(mutex_);
  std::jthread thread_;  // last: it uses the rest
};

}  // namespace overwinter::worker
