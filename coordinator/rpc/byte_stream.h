// ByteStream: answers a call with content from the disk, one message at a time. The pool reads a
// piece, gRPC writes it, and only then is the next one read; so a slow reader holds one piece.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "coordinator/rpc/service_context.h"

namespace overwinter::rpc {

// What is read from. Used by one thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out`; returns how much, less than out.size() only at the end.
  [[nodiscard]] virtual Result<std::size_t> next(std::span<std::byte> out) = 0;
  [[nodiscard]] virtual std::uint64_t bytes_left() const = 0;
};

// `Response` has a field `data`. `open` runs on the pool, may block, and may fill the first
// message. `sent` is called at the end of an answer that came whole.
template <class Response>
class ByteStream final : public grpc::ServerWriteReactor<Response> {
 public:
  using Open = std::function<Result<std::unique_ptr<ByteSource>>(Response&)>;

  using Sent = std::function<void(std::uint64_t bytes, std::chrono::nanoseconds took)>;
  // Called on the pool before each piece is read: what goes with it. A message with something of it
  // and no content does not end the answer.
  using Announce = std::function<void(Response&)>;

  ByteStream(ServiceContext& context, const Principal& caller, Open open, Sent sent = {},
             Announce announce = {})
      : context_(context),
        open_(std::move(open)),
        sent_(std::move(sent)),
        announce_(std::move(announce)) {
    stream_ = context_.streams.add(caller.kind, caller.id, [this](const Status& status) {
      MutexLock lock(mutex_);
      stop(status);
    });
    step();
  }

  void OnWriteDone(bool ok) override {
    if (ok) return step();
    MutexLock lock(mutex_);
    stop(error(Code::kCancelled, "the reader has gone"));
  }
  void OnCancel() override {
    MutexLock lock(mutex_);
    stop(error(Code::kCancelled, "the call was cancelled"));
  }
  void OnDone() override {
    context_.streams.remove(stream_);
    delete this;
  }

 private:
  void step() {
    {
      MutexLock lock(mutex_);
      if (wanted_end_) return finish_now();
      reading_ = true;
    }
    const Status taken = context_.pool.run(runtime::Work::kRead, [this] { read_piece(); });
    if (taken.ok()) return;
    MutexLock lock(mutex_);
    reading_ = false;
    stop(taken);
  }

  // On the pool. Nothing is finished while it runs, so the call and this object stay.
  void read_piece() {
    Status status;
    message_.Clear();
    if (!source_) {
      auto source = open_(message_);
      if (source) {
        source_ = std::move(*source);
        began_ = std::chrono::steady_clock::now();
      } else {
        status = source.error();
      }
    }
    if (status.ok()) status = fill();
    const bool first = std::exchange(first_, false);
    MutexLock lock(mutex_);
    reading_ = false;
    if (wanted_end_) return finish_now();
    if (!status.ok()) return stop(status);
    if (!first && message_.ByteSizeLong() == 0) {
      if (sent_) sent_(bytes_, std::chrono::steady_clock::now() - began_);
      return stop(Status::success());
    }
    bytes_ += message_.data().size();
    this->StartWrite(&message_);
  }

  Status fill() {
    if (announce_) announce_(message_);
    const std::size_t size =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, source_->bytes_left()));
    std::string& data = *message_.mutable_data();
    data.resize(size);
    const auto got = source_->next({reinterpret_cast<std::byte*>(data.data()), size});
    if (!got) return got.error();
    data.resize(*got);
    return Status::success();
  }

  void stop(const Status& status) OW_REQUIRES(mutex_) {
    if (finished_ || wanted_end_) return;
    wanted_end_ = true;
    end_status_ = status;
    if (!reading_) finish_now();
  }
  void finish_now() OW_REQUIRES(mutex_) {
    if (std::exchange(finished_, true)) return;
    this->Finish(to_grpc(end_status_));
  }

  static constexpr std::size_t kPieceBytes = std::size_t{1024} * 1024;

  ServiceContext& context_;
  const Open open_;
  const Sent sent_;
  const Announce announce_;
  std::uint64_t stream_ = 0;
  // Of the pool's task or of gRPC's write, one after the other.
  std::unique_ptr<ByteSource> source_;
  Response message_;
  bool first_ = true;
  std::uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point began_;

  Mutex mutex_;
  bool reading_ OW_GUARDED_BY(mutex_) = false;
  bool wanted_end_ OW_GUARDED_BY(mutex_) = false;
  bool finished_ OW_GUARDED_BY(mutex_) = false;
  Status end_status_ OW_GUARDED_BY(mutex_);
};

// A call that is refused before it begins.
template <class Response>
class RefusedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit RefusedStream(const Status& status) { this->Finish(to_grpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace overwinter::rpc
