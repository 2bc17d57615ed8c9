// JobService: submit, plan, read, watch and act on jobs. Methods as in job.proto; each resolves its
// caller again.
#pragma once

#include "coordinator/rpc/service_context.h"
#include "coordinator/telemetry/telemetry.h"
#include "overwinter/v1/job.grpc.pb.h"

namespace overwinter::rpc {

class JobService final : public v1::JobService::CallbackService {
 public:
  JobService(ServiceContext& context, telemetry::Telemetry& telemetry)
      : context_(context), telemetry_(telemetry) {}

  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  Reactor* SubmitJob(Call* call, const v1::SubmitJobRequest* request, v1::Job* job) override;
  Reactor* BatchSubmitJobs(Call* call, const v1::BatchSubmitJobsRequest* request,
                           v1::BatchSubmitJobsResponse* response) override;
  Reactor* PlanJob(Call* call, const v1::PlanJobRequest* request,
                   v1::PlanJobResponse* response) override;
  Reactor* GetJob(Call* call, const v1::GetJobRequest* request, v1::Job* job) override;
  Reactor* ListJobs(Call* call, const v1::ListJobsRequest* request,
                    v1::ListJobsResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchJobsResponse>* WatchJobs(
      Call* call, const v1::WatchJobsRequest* request) override;
  Reactor* PauseJob(Call* call, const v1::PauseJobRequest* request, v1::Job* job) override;
  Reactor* ResumeJob(Call* call, const v1::ResumeJobRequest* request, v1::Job* job) override;
  Reactor* CancelJob(Call* call, const v1::CancelJobRequest* request, v1::Job* job) override;
  Reactor* UpdateJob(Call* call, const v1::UpdateJobRequest* request, v1::Job* job) override;
  Reactor* ExplainJob(Call* call, const v1::ExplainJobRequest* request,
                      v1::ExplainJobResponse* response) override;

 private:
  ServiceContext& context_;
  telemetry::Telemetry& telemetry_;
};

// In watch_jobs.cpp.
[[nodiscard]] grpc::ServerWriteReactor<v1::WatchJobsResponse>* watch_jobs(
    ServiceContext& context, grpc::CallbackServerContext* call,
    const v1::WatchJobsRequest& request);

}  // namespace overwinter::rpc
