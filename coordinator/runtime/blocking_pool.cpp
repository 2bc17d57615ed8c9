#include "coordinator/runtime/blocking_pool.h"

#include <algorithm>
#include <utility>

namespace overwinter::runtime {

BlockingPool::BlockingPool(BlockingPoolConfig config) : config_(config) {
  for (std::size_t i = 0; i < config_.threads; ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

BlockingPool::~BlockingPool() {
  stop();
}

Status BlockingPool::run(Work kind, std::function<void()> task) {
  const auto index = static_cast<std::size_t>(kind);
  {
    MutexLock lock(mutex_);
    if (stopping_) return error(Code::kUnavailable, "the coordinator is stopping");
    if (queues_[index].size() >= config_.waiting_max[index]) {
      return error(Code::kResourceExhausted, "the coordinator is busy", {},
                   "try again in a second");
    }
    queues_[index].push_back(std::move(task));
  }
  changed_.notify_one();
  return Status::success();
}

void BlockingPool::run_vital(Work kind, std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    queues_[static_cast<std::size_t>(kind)].push_back(std::move(task));
  }
  changed_.notify_one();
}

void BlockingPool::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  MutexLock lock(mutex_);
  for (auto& queue : queues_) queue.clear();
}

std::size_t BlockingPool::waiting() const {
  MutexLock lock(mutex_);
  std::size_t total = 0;
  for (const auto& queue : queues_) total += queue.size();
  return total;
}

bool BlockingPool::take(std::function<void()>& task, std::size_t& kind) {
  for (std::size_t i = 0; i < kWorkKinds; ++i) {
    kind = (next_kind_ + i) % kWorkKinds;
    auto& queue = queues_[kind];
    if (queue.empty() || running_[kind] >= config_.running_max[kind]) continue;
    next_kind_ = (kind + 1) % kWorkKinds;
    ++running_[kind];
    task = std::move(queue.front());
    queue.pop_front();
    return true;
  }
  return false;
}

void BlockingPool::work() {
  for (;;) {
    std::function<void()> task;
    std::size_t kind = 0;
    {
      MutexLock lock(mutex_);
      for (;;) {
        if (stopping_) return;
        if (take(task, kind)) break;
        changed_.wait(mutex_);
      }
    }
    task();
    task = nullptr;  // what it owns goes before the next waits
    bool more = false;
    {
      MutexLock lock(mutex_);
      --running_[kind];
      more =
          std::any_of(queues_.begin(), queues_.end(), [](auto& queue) { return !queue.empty(); });
    }
    // This thread takes one; another of the kind that was full may go to a thread that waits.
    if (more) changed_.notify_one();
  }
}

}  // namespace overwinter::runtime
