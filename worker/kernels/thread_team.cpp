#include "worker/kernels/thread_team.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace overwinter::worker {

struct ThreadTeam::Impl {
  Mutex mutex;
  Condition begin;
  Condition done;
  const std::function<void(std::uint32_t)>* work OW_GUARDED_BY(mutex) = nullptr;
  std::uint64_t round OW_GUARDED_BY(mutex) = 0;
  std::uint32_t busy OW_GUARDED_BY(mutex) = 0;
  bool stop OW_GUARDED_BY(mutex) = false;
  std::vector<std::thread> others;

  void loop(std::uint32_t index) {
    std::uint64_t seen = 0;
    for (;;) {
      const std::function<void(std::uint32_t)>* mine = nullptr;
      {
        const MutexLock lock(mutex);
        while (!stop && round == seen) begin.wait(mutex);
        if (stop) return;
        seen = round;
        mine = work;
      }
      (*mine)(index);
      const MutexLock lock(mutex);
      if (--busy == 0) done.notify_one();
    }
  }
};

ThreadTeam::ThreadTeam(std::uint32_t threads) : impl_(std::make_unique<Impl>()) {
  for (std::uint32_t i = 1; i < std::max(threads, 1U); ++i) {
    impl_->others.emplace_back([this, i] { impl_->loop(i); });
  }
}

ThreadTeam::~ThreadTeam() {
  {
    const MutexLock lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->begin.notify_all();
  for (std::thread& thread : impl_->others) thread.join();
}

void ThreadTeam::run(const std::function<void(std::uint32_t)>& work) {
  {
    const MutexLock lock(impl_->mutex);
    impl_->work = &work;
    impl_->busy = static_cast<std::uint32_t>(impl_->others.size());
    ++impl_->round;
  }
  impl_->begin.notify_all();
  work(0);
  const MutexLock lock(impl_->mutex);
  while (impl_->busy != 0) impl_->done.wait(impl_->mutex);
}

std::uint32_t ThreadTeam::size() const {
  return static_cast<std::uint32_t>(impl_->others.size()) + 1;
}

}  // namespace overwinter::worker
