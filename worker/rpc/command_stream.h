// CommandStream: one stream of WorkerService.Connect. One write is outstanding at a time; what is
// sent meanwhile goes out as one message. Included by .cpp files of this room and its tests only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/time.h"
#include "overwinter/v1/worker.grpc.pb.h"

namespace overwinter::worker {

// Must live until wait() has returned.
class CommandStream final
    : public grpc::ClientBidiReactor<v1::ConnectRequest, v1::ConnectResponse> {
 public:
  // Called from gRPC's threads, one at a time. False: no more is read until resume().
  using Received = std::function<bool(const v1::ConnectResponse&)>;

  CommandStream(v1::WorkerService::Stub& stub, Received received);

  void start();
  // Any thread; never blocks. Dropped once the stream has ended.
  void send(std::vector<v1::WorkerMessage> messages);
  void resume();
  void cancel();
  // Waits until what was sent is written, at most `within`.
  void flush(Duration within);
  // Waits for the end of the stream.
  [[nodiscard]] grpc::Status wait();
  // Waits for the end or for `within`; true at the end.
  [[nodiscard]] bool wait_for(Duration within);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void write_more() OW_REQUIRES(mutex_);

  v1::WorkerService::Stub& stub_;
  const Received received_;
  grpc::ClientContext context_;
  v1::ConnectResponse incoming_;
  v1::ConnectRequest outgoing_;

  Mutex mutex_;
  Condition changed_;
  std::deque<v1::WorkerMessage> outbox_ OW_GUARDED_BY(mutex_);
  bool writing_ OW_GUARDED_BY(mutex_) = false;
  // While what was read is handled, a resume() is only noted: it may not read over what is being
  // handled.
  bool handling_ OW_GUARDED_BY(mutex_) = false;
  bool resumed_ OW_GUARDED_BY(mutex_) = false;
  bool paused_ OW_GUARDED_BY(mutex_) = false;
  bool closed_ OW_GUARDED_BY(mutex_) = false;  // the hold is gone: no more operations may begin
  std::optional<grpc::Status> done_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::worker
