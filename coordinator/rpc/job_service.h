// JobService: submit, plan, read, watch and act on jobs. Methods as in job.proto; each resolves its
// caller again.
#pragma once

#include "coordinator/rpc/service_context.h"
#include "overwinter/v1/job.grpc.pb.h"

namespace overwinter::rpc {

class JobService final : public v1::JobService::CallbackService {
 public:
  explicit JobService(ServiceContext& context) : context_(context) {}

  grpc::ServerUnaryReactor* SubmitJob(grpc::CallbackServerContext* call,
                                      const v1::SubmitJobRequest* request, v1::Job* job) override;
  grpc::ServerUnaryReactor* BatchSubmitJobs(grpc::CallbackServerContext* call,
                                            const v1::BatchSubmitJobsRequest* request,
                                            v1::BatchSubmitJobsResponse* response) override;
  grpc::ServerUnaryReactor* PlanJob(grpc::CallbackServerContext* call,
                                    const v1::PlanJobRequest* request,
                                    v1::PlanJobResponse* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* call,
                                   const v1::GetJobRequest* request, v1::Job* job) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* call,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchJobsResponse>* WatchJobs(
      grpc::CallbackServerContext* call, const v1::WatchJobsRequest* request) override;
  grpc::ServerUnaryReactor* PauseJob(grpc::CallbackServerContext* call,
                                     const v1::PauseJobRequest* request, v1::Job* job) override;
  grpc::ServerUnaryReactor* ResumeJob(grpc::CallbackServerContext* call,
                                      const v1::ResumeJobRequest* request, v1::Job* job) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* call,
                                      const v1::CancelJobRequest* request, v1::Job* job) override;
  grpc::ServerUnaryReactor* UpdateJob(grpc::CallbackServerContext* call,
                                      const v1::UpdateJobRequest* request, v1::Job* job) override;
  grpc::ServerUnaryReactor* ExplainJob(grpc::CallbackServerContext* call,
                                       const v1::ExplainJobRequest* request,
                                       v1::ExplainJobResponse* response) override;

 private:
  grpc::ServerUnaryReactor* act(grpc::CallbackServerContext* call, const std::string& name,
                                core::JobAction action, v1::Job* job);

  ServiceContext& context_;
};

// In watch_jobs.cpp.
[[nodiscard]] grpc::ServerWriteReactor<v1::WatchJobsResponse>* watch_jobs(
    ServiceContext& context, grpc::CallbackServerContext* call,
    const v1::WatchJobsRequest& request);

}  // namespace overwinter::rpc
