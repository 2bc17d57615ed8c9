// GuardedServer: one of the two gRPC servers with its guard before it: the guard listens and hands
// over, the server serves.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "coordinator/rpc/connection_guard.h"
#include "coordinator/runtime/connection_counts.h"

namespace grpc::experimental {
class ServerInterceptorFactoryInterface;
}  // namespace grpc::experimental

namespace overwinter::rpc {

class GuardedServer {
 public:
  // Takes the port. FAILED_PRECONDITION with the address when it is taken. `name`: of the port, for
  // the log.
  Status listen(const std::string& address, std::size_t connections_max, std::string name);
  // Both after listen(), in this order; services are registered in between.
  void attach_to(grpc::ServerBuilder& builder,
                 const std::shared_ptr<grpc::ServerCredentials>& credentials);
  Status start(grpc::ServerBuilder& builder);
  // Takes no more connections; calls go on. Also before anything was started.
  void stop_taking();
  // Ends what is under way at the deadline.
  void shut_down(std::chrono::system_clock::time_point deadline);
  void end() { server_.reset(); }  // after that

  [[nodiscard]] int port() const { return guard_ ? guard_->port() : 0; }
  [[nodiscard]] ConnectionGuard& guard() { return *guard_; }
  // Any thread, from listen() on.
  [[nodiscard]] runtime::ConnectionCounts counts() const;

 private:
  std::unique_ptr<ConnectionGuard> guard_;
  // Outlives the guard's thread, which hands connections to it.
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

// Tells the guard whose connection has made a call. Made only for calls that the processor let in;
// health and reflection are among them. `guard` outlives the server.
[[nodiscard]] std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> call_marker(
    ConnectionGuard& guard);

}  // namespace overwinter::rpc
