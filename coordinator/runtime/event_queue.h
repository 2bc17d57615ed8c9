// EventQueue: where the outside hands its events to the core loop. Two lanes, both first in, first
// out:
//   refusable  submits, reads and administration: bounded, a full lane refuses (RESOURCE_EXHAUSTED)
//   vital      reports, landings, hellos, cancels: never refused; who posts them stops reading its
//   stream while
//              the lane is crowded and is told when there is room again
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/core/event.h"

namespace overwinter::runtime {

struct EventQueueConfig {
  std::size_t refusable_max = 8192;
  std::size_t vital_crowded = 16384;  // from here on streams are not read
};

// Thread-safe.
class EventQueue {
 public:
  explicit EventQueue(EventQueueConfig config) : config_(config) {}

  // RESOURCE_EXHAUSTED with a hint when the lane is full, UNAVAILABLE after close().
  Status post(core::Event event);
  // Always taken, but dropped with false after close(): its sender will say it again to the next
  // coordinator.
  bool post_vital(core::Event event);

  // True while streams should not be read.
  [[nodiscard]] bool crowded() const;
  // Calls `resume` once: at once when there is room, else from the loop's thread when there is
  // again. It must not block.
  void when_room(std::function<void()> resume);

  // Waits until there is an event, `deadline` has come or close() or wake() was called; then moves
  // up to `max` events to `out` (vital ones first). No deadline: waits without end.
  void drain(std::optional<std::chrono::steady_clock::time_point> deadline, std::size_t max,
             std::vector<core::Event>& out);
  // Ends the current or next drain() early.
  void wake();
  void close();

  [[nodiscard]] std::size_t size() const;

 private:
  const EventQueueConfig config_;
  mutable Mutex mutex_;
  Condition changed_;
  std::deque<core::Event> refusable_ OW_GUARDED_BY(mutex_);
  std::deque<core::Event> vital_ OW_GUARDED_BY(mutex_);
  std::vector<std::function<void()>> waiting_for_room_ OW_GUARDED_BY(mutex_);
  bool woken_ OW_GUARDED_BY(mutex_) = false;
  bool closed_ OW_GUARDED_BY(mutex_) = false;
};

}  // namespace overwinter::runtime
