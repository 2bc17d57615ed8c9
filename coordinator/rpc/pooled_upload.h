// PooledUpload: a call that carries one thing in pieces. A piece is read, written by the pool, and
// only then is the next one read. The call is not finished while the pool works on it, so nothing
// here is locked: one step follows the other.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <span>
#include <utility>

#include "coordinator/rpc/refused_call.h"
#include "coordinator/rpc/service_context.h"

namespace overwinter::rpc {

// `Request` has `begin` or `data`; `Upload` has write(bytes, now) and finish(). Deletes itself when
// the call is over. Under way it is vital work, so that what has begun is not refused half-way.
template <class Request, class Upload>
class PooledUpload : public grpc::ServerReadReactor<Request> {
 public:
  void OnReadDone(bool ok) final {
    const auto task = [this, ok] { ok ? take() : complete(); };
    if (upload_) return context_.pool.run_vital(work_, task);
    if (const Status taken = context_.pool.run(work_, task); !taken.ok()) {
      this->Finish(to_grpc(taken));
    }
  }
  void OnDone() final { delete this; }

 protected:
  PooledUpload(ServiceContext& context, runtime::Work work) : context_(context), work_(work) {
    this->StartRead(&message_);
  }

  // On the pool, once. Null: it is there already, and the call has succeeded.
  virtual Result<std::unique_ptr<Upload>> open(const Request& first) = 0;
  // How the call ends, before it does.
  virtual void ends(const Status&) {}

  ServiceContext& context_;

 private:
  void take() {
    if (!upload_) return begin();
    if (!message_.has_data()) {
      return end(error(Code::kInvalidArgument, "an upload begins once", "begin"));
    }
    const std::string& data = message_.data();
    const Status status =
        upload_->write(std::as_bytes(std::span(data.data(), data.size())), context_.now());
    if (!status.ok()) return end(status);
    this->StartRead(&message_);
  }

  void begin() {
    if (!message_.has_begin()) {
      return end(error(Code::kInvalidArgument, "the first message says what is uploaded", "begin"));
    }
    auto upload = open(message_);
    if (!upload) return end(upload.error());
    if (*upload == nullptr) return end(Status::success());
    upload_ = std::move(*upload);
    this->StartRead(&message_);
  }

  void complete() {
    if (!upload_) return end(error(Code::kInvalidArgument, "the upload has no content", "begin"));
    end(upload_->finish());
  }

  void end(const Status& status) {
    upload_.reset();  // what is not whole is removed, here on the pool
    ends(status);
    this->Finish(to_grpc(status));
  }

  const runtime::Work work_;
  Request message_;
  std::unique_ptr<Upload> upload_;
};

}  // namespace overwinter::rpc
