#include "coordinator/rpc/worker_session.h"

#include <utility>

#include "common/base/log.h"
#include "common/wire/status_grpc.h"
#include "coordinator/rpc/worker_messages.h"

namespace overwinter::rpc {

class WorkerSession::Reactor final : public WorkerSessions::Reactor {
 public:
  explicit Reactor(std::shared_ptr<WorkerSession> session) : session_(std::move(session)) {}

  void OnReadDone(bool ok) override {
    if (!ok) return session_->end(Status::success());  // the worker has closed its side
    if (Status status = session_->take(request); !status.ok()) return session_->end(status);
    session_->read_more();
  }
  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(session_->mutex_);
      session_->writing_ = false;
    }
    if (!ok) return session_->end(error(Code::kUnavailable, "the stream broke"));
    session_->write_if_idle();
  }
  void OnCancel() override { session_->end(error(Code::kCancelled, "the stream was cancelled")); }
  void OnDone() override {
    session_->done();
    delete this;
  }

  v1::ConnectRequest request;
  v1::ConnectResponse response;

 private:
  const std::shared_ptr<WorkerSession> session_;
};

WorkerSessions::Reactor* WorkerSession::start() {
  auto* reactor = new Reactor(shared_from_this());
  {
    MutexLock lock(mutex_);
    reactor_ = reactor;
    reactor->StartRead(&reactor->request);
  }
  return reactor;
}

// While the loop is behind, the stream is not read: TCP makes the worker wait.
void WorkerSession::read_more() {
  sessions_.queue_.when_room([self = shared_from_this()] {
    MutexLock lock(self->mutex_);
    if (self->reactor_ == nullptr || self->ended_) return;
    self->reactor_->StartRead(&self->reactor_->request);
  });
}

Status WorkerSession::take_hello(const v1::Hello& hello) {
  if (incarnation_.valid()) return error(Code::kInvalidArgument, "a second Hello on one stream");
  if (Status status = check_version(hello.version()); !status.ok()) return status;
  auto event = hello_event(worker_, hello, sessions_.config_.host_id);
  if (!event) return event.error();
  event->of_other_generation =
      hello.generation() != 0 && hello.generation() != sessions_.config_.generation;
  incarnation_ = event->incarnation;
  same_host_ = event->machine.same_host_as_coordinator;
  sessions_.said_hello({worker_, incarnation_}, shared_from_this());
  sessions_.queue_.post_vital(std::move(*event));
  return Status::success();
}

Status WorkerSession::take(const v1::ConnectRequest& batch) {
  if (batch.messages_size() > kMessagesInBatchMax) {
    return error(Code::kInvalidArgument, "a batch has at most 4,096 messages", "messages");
  }
  for (const auto& message : batch.messages()) {
    if (message.has_hello()) {
      if (Status status = take_hello(message.hello()); !status.ok()) return status;
      continue;
    }
    if (!incarnation_.valid()) {
      return error(Code::kInvalidArgument, "the first message of a stream is a Hello");
    }
    if (message.has_host_described() || message.has_peer_probed()) {
      sessions_.config_.answered(worker_, message);
      continue;
    }
    auto event = event_of({worker_, incarnation_}, message);
    if (!event) return event.error();
    sessions_.queue_.post_vital(std::move(*event));
  }
  return Status::success();
}

void WorkerSession::put(v1::CoordinatorMessage message) {
  bool full = false;
  {
    MutexLock lock(mutex_);
    if (ended_) return;
    full = outbox_.size() >= kOutboxMessagesMax;
    if (!full) outbox_.push_back(std::move(message));
  }
  if (full) {
    end(error(Code::kResourceExhausted, "the worker takes its orders too slowly", {},
              "it connects again by itself"));
  }
}

void WorkerSession::write_if_idle() {
  MutexLock lock(mutex_);
  if (writing_ || ended_ || reactor_ == nullptr || outbox_.empty()) return;
  v1::ConnectResponse& batch = reactor_->response;
  batch.Clear();
  std::size_t bytes = 0;
  while (!outbox_.empty() && batch.messages_size() < kMessagesAtOnce && bytes < kBatchBytesMax) {
    bytes += outbox_.front().ByteSizeLong();
    *batch.add_messages() = std::move(outbox_.front());
    outbox_.pop_front();
  }
  writing_ = true;
  reactor_->StartWrite(&batch);
}

void WorkerSession::end(const Status& status) {
  MutexLock lock(mutex_);
  if (ended_ || reactor_ == nullptr) return;
  ended_ = true;
  outbox_.clear();
  if (!status.ok() && status.code != Code::kCancelled) {
    log_info("the stream of worker {} ends: {}", worker_.value(), status.message);
  }
  reactor_->Finish(wire::to_grpc(status));
}

void WorkerSession::done() {
  {
    MutexLock lock(mutex_);
    reactor_ = nullptr;
    ended_ = true;
  }
  sessions_.gone({worker_, incarnation_}, this);
}

}  // namespace overwinter::rpc
