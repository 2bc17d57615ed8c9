#include "coordinator/runtime/committer.h"

#include <unistd.h>

#include <iterator>
#include <utility>

#include "common/base/log.h"
#include "coordinator/runtime/disk_failed.h"

namespace overwinter::runtime {
Committer::Committer(TurnSink& sink, std::function<void()> committed)
    : sink_(sink), told_(std::move(committed)), thread_([this] { work(); }) {}

Committer::~Committer() {
  stop();
}

void Committer::submit(Turn turn) {
  {
    MutexLock lock(mutex_);
    waiting_.push_back(std::move(turn));
  }
  changed_.notify_all();
}

std::uint64_t Committer::committed() const {
  MutexLock lock(mutex_);
  return committed_;
}

void Committer::wait_beyond(std::uint64_t seen) {
  MutexLock lock(mutex_);
  while (committed_ <= seen) changed_.wait(mutex_);
}

void Committer::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Committer::work() {
  for (;;) {
    std::vector<Turn> group;
    {
      MutexLock lock(mutex_);
      while (waiting_.empty() && !stopping_) changed_.wait(mutex_);
      if (waiting_.empty()) return;
      group.assign(std::make_move_iterator(waiting_.begin()),
                   std::make_move_iterator(waiting_.end()));
      waiting_.clear();
    }
    if (const Status status = sink_.commit(group); !status.ok()) {
      // Nothing of these turns has left. What the disk holds of them is decided by the replay.
      log_error("the store could not commit: {}; ending, so that a restart replays what is durable",
                status.message);
      ::_exit(kDiskFailedExit);
    }
    {
      MutexLock lock(mutex_);
      committed_ += group.size();
    }
    changed_.notify_all();
    told_();
  }
}

}  // namespace overwinter::runtime
