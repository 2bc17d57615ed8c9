#include "coordinator/runtime/event_queue.h"

#include <algorithm>
#include <utility>

namespace overwinter::runtime {

Status EventQueue::post(core::Event event) {
  {
    MutexLock lock(mutex_);
    if (closed_) return error(Code::kUnavailable, "the coordinator is stopping");
    if (refusable_.size() >= config_.refusable_max) {
      return error(Code::kResourceExhausted,
                   "the coordinator is busy: too many requests are waiting", {},
                   "try again in a second");
    }
    refusable_.push_back(std::move(event));
  }
  changed_.notify_one();
  return Status::success();
}

bool EventQueue::post_vital(core::Event event) {
  {
    MutexLock lock(mutex_);
    if (closed_) return false;
    vital_.push_back(std::move(event));
  }
  changed_.notify_one();
  return true;
}

bool EventQueue::crowded() const {
  MutexLock lock(mutex_);
  return vital_.size() >= config_.vital_crowded;
}

void EventQueue::when_room(std::function<void()> resume) {
  {
    MutexLock lock(mutex_);
    if (!closed_ && vital_.size() >= config_.vital_crowded) {
      waiting_for_room_.push_back(std::move(resume));
      return;
    }
  }
  resume();
}

void EventQueue::drain(std::optional<std::chrono::steady_clock::time_point> deadline,
                       std::size_t max, std::vector<core::Event>& out) {
  std::vector<std::function<void()>> resumed;
  {
    MutexLock lock(mutex_);
    const auto ready = [this] {
      return woken_ || closed_ || !vital_.empty() || !refusable_.empty();
    };
    if (deadline) {
      changed_.wait_until(mutex_, *deadline, ready);
    } else {
      changed_.wait(mutex_, ready);
    }
    woken_ = false;
    const auto move_from = [&](std::deque<core::Event>& lane) {
      while (!lane.empty() && out.size() < max) {
        out.push_back(std::move(lane.front()));
        lane.pop_front();
      }
    };
    move_from(vital_);
    move_from(refusable_);
    if (vital_.size() < config_.vital_crowded) resumed.swap(waiting_for_room_);
  }
  for (const auto& resume : resumed) resume();
}

void EventQueue::wake() {
  {
    MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void EventQueue::close() {
  std::vector<std::function<void()>> resumed;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    resumed.swap(waiting_for_room_);
  }
  changed_.notify_all();
  for (const auto& resume : resumed) resume();
}

std::size_t EventQueue::size() const {
  MutexLock lock(mutex_);
  return vital_.size() + refusable_.size();
}

}  // namespace overwinter::runtime
