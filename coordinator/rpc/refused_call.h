// A call that is refused before it begins: it answers with the status and nothing else.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "coordinator/rpc/service_context.h"

namespace overwinter::rpc {

// `Reactor`: the kind of call. Deletes itself when the call is over.
template <class Reactor>
class RefusedCall final : public Reactor {
 public:
  explicit RefusedCall(const Status& status) { this->Finish(to_grpc(status)); }
  void OnDone() override { delete this; }
};

template <class Request>
using RefusedUpload = RefusedCall<grpc::ServerReadReactor<Request>>;
template <class Response>
using RefusedStream = RefusedCall<grpc::ServerWriteReactor<Response>>;

}  // namespace overwinter::rpc
