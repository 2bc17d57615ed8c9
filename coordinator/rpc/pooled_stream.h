// PooledStream: an answer of many messages. The pool makes one, gRPC writes it, and only then is
// the next one made; so a slow reader holds one message, and no thread of gRPC waits for the disk.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "coordinator/rpc/refused_call.h"
#include "coordinator/rpc/service_context.h"

namespace overwinter::rpc {

// Deletes itself when the call is over. A subclass is final and calls begin() at the end of its
// constructor.
template <class Response>
class PooledStream : public grpc::ServerWriteReactor<Response> {
 public:
  void OnWriteDone(bool ok) final {
    if (ok) return step();
    MutexLock lock(mutex_);
    stop(error(Code::kCancelled, "the reader has gone"));
  }
  void OnCancel() final {
    MutexLock lock(mutex_);
    stop(error(Code::kCancelled, "the call was cancelled"));
  }
  void OnDone() final {
    context_.streams.remove(stream_);
    { MutexLock lock(mutex_); }  // whoever ended the call has let go of it
    delete this;
  }

 protected:
  enum class Next : std::uint8_t {
    kWrite = 1,
    kPause = 2,  // nothing yet: make() is called again after kPauseTime
    kEnd = 3,
  };
  static constexpr auto kPauseTime = std::chrono::milliseconds(200);

  // `resource`: what an error is about, for its details; may be empty.
  PooledStream(ServiceContext& context, std::string resource)
      : context_(context), resource_(std::move(resource)) {}

  void begin(const Principal& caller) {
    stream_ = context_.streams.add(caller.kind, caller.id, [this](const Status& status) {
      MutexLock lock(mutex_);
      stop(status);
    });
    step();
  }

  // On the pool, one call after the other; may block. `message` is what was made last. An error
  // ends the call.
  virtual Result<Next> make(Response& message) = 0;

  ServiceContext& context_;

 private:
  void step() {
    MutexLock lock(mutex_);
    if (wanted_end_) return finish_now();
    busy_ = true;
    const Status taken = context_.pool.run(runtime::Work::kRead, [this] { work(); });
    if (taken.ok()) return;
    busy_ = false;
    stop(taken);
  }

  // Nothing is finished while it runs, so the call and this object stay.
  void work() {
    const Result<Next> next = make(message_);
    MutexLock lock(mutex_);
    busy_ = false;
    if (wanted_end_) return finish_now();
    if (!next) return stop(next.error());
    if (*next == Next::kEnd) return stop(Status::success());
    if (*next == Next::kWrite) return this->StartWrite(&message_);
    busy_ = true;  // the alarm's
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now() + kPauseTime, [this](bool) { wake(); });
  }

  void wake() {
    {
      MutexLock lock(mutex_);
      busy_ = false;
      if (wanted_end_) return finish_now();
    }
    step();
  }

  void stop(const Status& status) OW_REQUIRES(mutex_) {
    if (finished_ || wanted_end_) return;
    wanted_end_ = true;
    end_status_ = status;
    if (!busy_) finish_now();
  }
  void finish_now() OW_REQUIRES(mutex_) {
    if (std::exchange(finished_, true)) return;
    this->Finish(to_grpc(end_status_, resource_));
  }

  const std::string resource_;
  std::uint64_t stream_ = 0;
  // Of the pool's task, of gRPC's write, of the alarm: one after the other.
  Response message_;
  std::unique_ptr<grpc::Alarm> alarm_;

  Mutex mutex_;
  bool busy_ OW_GUARDED_BY(mutex_) = false;
  bool wanted_end_ OW_GUARDED_BY(mutex_) = false;
  bool finished_ OW_GUARDED_BY(mutex_) = false;
  Status end_status_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::rpc
