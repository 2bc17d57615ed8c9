// WorkerSession: one open stream of a worker. Reads a batch, posts its events, reads on while there
// is room; writes one batch at a time from a bounded outbox.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "coordinator/rpc/worker_sessions.h"

namespace overwinter::rpc {

// A worker that takes nothing for so long is told to come again: its Hello makes every order anew.
inline constexpr std::size_t kOutboxMessagesMax = 65'536;
inline constexpr int kMessagesAtOnce = 256;
inline constexpr std::size_t kBatchBytesMax = std::size_t{1024} * 1024;
inline constexpr int kMessagesInBatchMax = 4096;

// The stream's state. It is held by the sessions' map and, while the stream lives, by gRPC's
// reactor, so that an order that races with the stream's end finds it safe.
class WorkerSession : public std::enable_shared_from_this<WorkerSession> {
 public:
  WorkerSession(WorkerSessions& sessions, WorkerId worker) : sessions_(sessions), worker_(worker) {}

  // Makes the reactor that gRPC owns until it is done.
  [[nodiscard]] WorkerSessions::Reactor* start();

  void put(v1::CoordinatorMessage message);
  void write_if_idle();
  void end(const Status& status);

  [[nodiscard]] WorkerId worker() const { return worker_; }
  [[nodiscard]] bool same_host() const { return same_host_; }  // after Hello

 private:
  class Reactor;
  friend class Reactor;

  void read_more();
  // False when the stream must end.
  Status take(const v1::ConnectRequest& batch);
  Status take_hello(const v1::Hello& hello);
  void done();

  WorkerSessions& sessions_;
  const WorkerId worker_;
  bool same_host_ = false;   // written once, before the session is in the map
  Incarnation incarnation_;  // the reading side alone

  Mutex mutex_;
  Reactor* reactor_ OW_GUARDED_BY(mutex_) = nullptr;  // null once gRPC is done with it
  std::deque<v1::CoordinatorMessage> outbox_ OW_GUARDED_BY(mutex_);
  bool writing_ OW_GUARDED_BY(mutex_) = false;
  bool ended_ OW_GUARDED_BY(mutex_) = false;
};

}  // namespace overwinter::rpc
