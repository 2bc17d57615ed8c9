#include "worker/rpc/command_stream.h"

#include <utility>

namespace overwinter::worker {
namespace {

// Messages of one batch: well under the limit of a message's size.
constexpr int kBatch = 256;
// Bytes of one batch; a single message may be larger.
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;

}  // namespace

CommandStream::CommandStream(v1::WorkerService::Stub& stub, Received received)
    : stub_(stub), received_(std::move(received)) {}

void CommandStream::start() {
  stub_.async()->Connect(&context_, this);
  AddHold();  // writes and reads may begin outside of reactions
  StartRead(&incoming_);
  StartCall();
}

void CommandStream::send(std::vector<v1::WorkerMessage> messages) {
  const MutexLock lock(mutex_);
  if (closed_) return;
  for (v1::WorkerMessage& message : messages) {
    // A heartbeat that could not leave is worth nothing once there is a newer one.
    if (message.has_heartbeat() && !outbox_.empty() && outbox_.back().has_heartbeat()) {
      outbox_.pop_back();
    }
    outbox_.push_back(std::move(message));
  }
  write_more();
}

void CommandStream::write_more() {
  if (writing_ || closed_ || outbox_.empty()) return;
  outgoing_.Clear();
  std::size_t bytes = 0;
  while (!outbox_.empty() && outgoing_.messages_size() < kBatch && bytes < kBatchBytes) {
    bytes += outbox_.front().ByteSizeLong();
    *outgoing_.add_messages() = std::move(outbox_.front());
    outbox_.pop_front();
  }
  writing_ = true;
  StartWrite(&outgoing_);
}

void CommandStream::OnWriteDone(bool ok) {
  const MutexLock lock(mutex_);
  writing_ = false;
  if (ok) {
    write_more();
  } else {
    outbox_.clear();  // the stream is broken; reading ends too
    context_.TryCancel();
  }
  changed_.notify_all();
}

void CommandStream::OnReadDone(bool ok) {
  if (!ok) {
    const MutexLock lock(mutex_);
    closed_ = true;
    outbox_.clear();
    changed_.notify_all();
    RemoveHold();
    return;
  }
  {
    const MutexLock lock(mutex_);
    handling_ = true;
    resumed_ = false;
  }
  const bool more = received_(incoming_);
  const MutexLock lock(mutex_);
  handling_ = false;
  if (more || resumed_) {
    StartRead(&incoming_);
  } else {
    paused_ = true;
  }
}

void CommandStream::resume() {
  const MutexLock lock(mutex_);
  if (handling_) {
    resumed_ = true;
  } else if (std::exchange(paused_, false) && !closed_) {
    StartRead(&incoming_);
  }
}

void CommandStream::cancel() {
  context_.TryCancel();
  resume();  // so that a paused stream notices
}

void CommandStream::flush(Duration within) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, within, [this] { return closed_ || (!writing_ && outbox_.empty()); });
}

void CommandStream::OnDone(const grpc::Status& status) {
  const MutexLock lock(mutex_);
  done_ = status;
  changed_.notify_all();
}

grpc::Status CommandStream::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_.has_value(); });
  return *done_;
}

bool CommandStream::wait_for(Duration within) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, within, [this] { return done_.has_value(); });
}

}  // namespace overwinter::worker
