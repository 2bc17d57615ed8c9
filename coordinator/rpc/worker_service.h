// WorkerService: joining, renewing, the stream. Methods as in worker.proto; on the workers' port
// alone.
#pragma once

#include "coordinator/rpc/service_context.h"
#include "coordinator/rpc/worker_sessions.h"
#include "overwinter/v1/worker.grpc.pb.h"

namespace overwinter::rpc {

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  WorkerService(ServiceContext& context, WorkerSessions& sessions)
      : context_(context), sessions_(sessions) {}

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* call, const v1::JoinRequest* request,
                                 v1::JoinResponse* response) override;
  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* call,
                                  const v1::RenewRequest* request,
                                  v1::RenewResponse* response) override;
  WorkerSessions::Reactor* Connect(grpc::CallbackServerContext* call) override;

 private:
  // On the pool: a chain for this worker from the request's public key.
  void sign(grpc::ServerUnaryReactor* reactor, const std::string& csr, WorkerId worker,
            std::function<void(std::string)> done);

  ServiceContext& context_;
  WorkerSessions& sessions_;
};

}  // namespace overwinter::rpc
