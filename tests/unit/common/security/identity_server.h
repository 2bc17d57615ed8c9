// A gRPC server that answers every call with who it thinks the caller is, and a client for it.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "common/security/tls_credentials.h"

namespace overwinter::test {

inline std::string in_words(const Result<PeerIdentity>& peer) {
  if (!peer) return "refused: " + peer.error().message;
  std::string words(peer_kind_name(peer->kind));
  if (!peer->id.empty()) words += " " + peer->id;
  if (!peer->cluster.empty()) words += " of " + peer->cluster;
  return words;
}

class IdentityServer {
 public:
  explicit IdentityServer(std::shared_ptr<grpc::ServerCredentials> credentials) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", std::move(credentials), &port_);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~IdentityServer() { stop(); }
  void stop() {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Reactor(grpc::GenericCallbackServerContext* context)
        : answer_(in_words(peer_identity(*context->auth_context()))) {
      StartRead(&request_);
    }
    void OnReadDone(bool) override {
      const grpc::Slice slice(answer_);
      reply_ = grpc::ByteBuffer(&slice, 1);
      StartWriteAndFinish(&reply_, grpc::WriteOptions(), grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    std::string answer_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer reply_;
  };
  class Service final : public grpc::CallbackGenericService {
    grpc::ServerGenericBidiReactor* CreateReactor(
        grpc::GenericCallbackServerContext* context) override {
      return new Reactor(context);
    }
  };
  Service service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// One call on a new connection: the server's words, or the status code's name (and gRPC's words in
// `message`).
inline std::string ask(const std::string& address,
                       std::shared_ptr<grpc::ChannelCredentials> credentials,
                       std::string* message = nullptr) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  grpc::GenericStub stub(grpc::CreateCustomChannel(address, std::move(credentials), arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  const grpc::Slice nothing;
  grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer reply;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/test.Identity/Who", grpc::StubOptions(), &request, &reply,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  const grpc::Status status = done.get_future().get();
  if (message != nullptr) *message = status.error_message();
  if (!status.ok())
    return std::string(code_name(static_cast<Code>(static_cast<int>(status.error_code()))));
  grpc::Slice slice;
  if (!reply.DumpToSingleSlice(&slice).ok()) return "unreadable";
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace overwinter::test
