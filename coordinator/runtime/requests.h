// Requests: who waits for which answer of the core. A request is posted with a number; its Reply
// effect finds the waiting callback by it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "common/base/mutex.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/ports.h"

namespace overwinter::runtime {

// Called exactly once, from the loop's thread or from the caller's; must not block.
using Answer = std::function<void(const core::Reply&)>;

// Thread-safe.
class Requests final : public ReplyPort {
 public:
  explicit Requests(EventQueue& queue) : queue_(queue) {}

  // For events with a field `reply`. A full queue answers at once with RESOURCE_EXHAUSTED.
  template <class E>
  void ask(E event, Answer answer) {
    event.reply = remember(std::move(answer));
    const core::ReplyId id = event.reply;
    if (Status status = queue_.post(std::move(event)); !status.ok()) refuse(id, std::move(status));
  }
  // The same for what is never refused (cancel).
  template <class E>
  void ask_vital(E event, Answer answer) {
    event.reply = remember(std::move(answer));
    const core::ReplyId id = event.reply;
    if (!queue_.post_vital(std::move(event))) refuse(id, stopping());
  }

  void deliver(const core::Reply& reply) override;
  // At the end, after EventQueue::close(): whoever still waits is told UNAVAILABLE.
  void fail_all();

 private:
  [[nodiscard]] core::ReplyId remember(Answer answer);
  void refuse(core::ReplyId id, Status status);
  [[nodiscard]] static Status stopping();

  EventQueue& queue_;
  Mutex mutex_;
  std::map<core::ReplyId, Answer> waiting_ OW_GUARDED_BY(mutex_);
  std::uint64_t next_ OW_GUARDED_BY(mutex_) = 1;
};

}  // namespace overwinter::runtime
