// LogService: on the people's port lines and curves of jobs, on the workers' port what ranks print,
// by capability. One object serves one port; what the port's table does not name never reaches it.
#pragma once

#include "common/security/capability.h"
#include "coordinator/rpc/service_context.h"
#include "coordinator/telemetry/telemetry.h"
#include "overwinter/v1/log.grpc.pb.h"

namespace overwinter::rpc {

class LogService final : public v1::LogService::CallbackService {
 public:
  LogService(ServiceContext& context, telemetry::Telemetry& telemetry, CapabilityVerifier verifier)
      : context_(context), telemetry_(telemetry), verifier_(std::move(verifier)) {}

  grpc::ServerWriteReactor<v1::ReadLogsResponse>* ReadLogs(
      grpc::CallbackServerContext* call, const v1::ReadLogsRequest* request) override;
  grpc::ServerUnaryReactor* ListCurves(grpc::CallbackServerContext* call,
                                       const v1::ListCurvesRequest* request,
                                       v1::ListCurvesResponse* response) override;
  grpc::ServerUnaryReactor* ReadCurve(grpc::CallbackServerContext* call,
                                      const v1::ReadCurveRequest* request,
                                      v1::ReadCurveResponse* response) override;
  grpc::ServerReadReactor<v1::PushLogsRequest>* PushLogs(grpc::CallbackServerContext* call,
                                                         v1::PushLogsResponse* response) override;

 private:
  ServiceContext& context_;
  telemetry::Telemetry& telemetry_;
  const CapabilityVerifier verifier_;
};

// log_push.cpp. `caller`: the worker, or why it is none.
[[nodiscard]] grpc::ServerReadReactor<v1::PushLogsRequest>* push_logs(
    ServiceContext& context, telemetry::Telemetry& telemetry, const CapabilityVerifier& verifier,
    const Result<Principal>& caller, v1::PushLogsResponse* response);

}  // namespace overwinter::rpc
