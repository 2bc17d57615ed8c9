#include "coordinator/rpc/guarded_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>

#include <string_view>
#include <utility>

namespace overwinter::rpc {
namespace {

class CallMarker final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallMarker(ConnectionGuard& guard) : guard_(guard) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    // Anybody may try a code: that makes no connection somebody's.
    if (std::string_view(info->method()) != kExchangeLoginCode)
      guard_.authenticated(info->server_context()->peer());
    return nullptr;
  }

 private:
  static constexpr std::string_view kExchangeLoginCode =
      "/overwinter.v1.AdminService/ExchangeLoginCode";
  ConnectionGuard& guard_;
};

}  // namespace

Status GuardedServer::listen(const std::string& address, std::size_t connections_max,
                             std::string name) {
  GuardLimits limits;
  limits.admission.connections_max = connections_max;
  auto made = ConnectionGuard::listen(address, limits, std::move(name));
  if (!made) return made.error();
  guard_ = std::move(*made);
  return Status::success();
}

void GuardedServer::attach_to(grpc::ServerBuilder& builder,
                              const std::shared_ptr<grpc::ServerCredentials>& credentials) {
  using External = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(External::FROM_FD, credentials);
}

Status GuardedServer::start(grpc::ServerBuilder& builder) {
  server_ = builder.BuildAndStart();
  if (!server_) return error(Code::kInternal, "a server of gRPC cannot be started");
  guard_->start([this](int listener, int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.listener_fd = listener;
    connection.fd = fd;
    acceptor_->HandleNewConnection(&connection);
  });
  return Status::success();
}

void GuardedServer::stop_taking() {
  if (guard_) guard_->stop();
}

void GuardedServer::shut_down(std::chrono::system_clock::time_point deadline) {
  if (server_) server_->Shutdown(deadline);
}

runtime::ConnectionCounts GuardedServer::counts() const {
  return guard_ ? guard_->counts() : runtime::ConnectionCounts{};
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> call_marker(
    ConnectionGuard& guard) {
  return std::make_unique<CallMarker>(guard);
}

}  // namespace overwinter::rpc
