#include "worker/runtime/executor.h"

#include <mutex>
#include <utility>

namespace overwinter::worker {

Executor::~Executor() {
  thread_.request_stop();
  changed_.notify_all();
}

void Executor::post(std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void Executor::run(const std::stop_token& stop) {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !tasks_.empty(); })) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace overwinter::worker
