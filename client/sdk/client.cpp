#include "client/sdk/client.h"

#include "client/sdk/client_impl.h"
#include "common/rpc/channel.h"
#include "common/wire/convert.h"

namespace overwinter::client {
namespace {

// For the answer to arrive, behind the time that the coordinator takes for it.
constexpr Duration kAnswerMargin{3000};
constexpr Duration kHookTestTime{15'000};

}  // namespace

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::create(const Credentials& credentials,
                                               Duration call_timeout) {
  auto impl = std::make_unique<Impl>();
  impl->address = credentials.address;
  impl->token = credentials.token;
  impl->call_timeout = call_timeout;
  impl->refusal = std::make_shared<PeerRefusal>();
  auto channel_credentials = people_client_credentials(credentials.root_pem, impl->refusal);
  if (!channel_credentials) return fail(channel_credentials.error());
  impl->channel = make_channel(credentials.address, *channel_credentials);
  impl->jobs = v1::JobService::NewStub(impl->channel);
  impl->admin = v1::AdminService::NewStub(impl->channel);
  impl->billing = v1::BillingService::NewStub(impl->channel);
  impl->logs = v1::LogService::NewStub(impl->channel);
  ArtifactClientOptions options;
  options.call_timeout = call_timeout;
  options.prepare = [token = credentials.token](grpc::ClientContext& context) {
    context.AddMetadata("authorization", "Bearer " + token);
  };
  impl->artifacts = std::make_unique<ArtifactClient>(impl->channel, options);
  impl->secrets = v1::SecretService::NewStub(impl->channel);
  impl->checkpoints = v1::CheckpointService::NewStub(impl->channel);
  impl->checkpoint_files = std::make_unique<CheckpointClient>(impl->channel, std::move(options));
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Result<v1::Job> Client::submit(const v1::SubmitJobRequest& request) {
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::SubmitJob, request);
}

Result<v1::PlanJobResponse> Client::plan(const v1::PlanJobRequest& request) {
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::PlanJob, request);
}

Result<v1::Job> Client::get_job(const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::GetJob, request);
}

Result<v1::ListJobsResponse> Client::list_jobs(const v1::ListJobsRequest& request) {
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::ListJobs, request);
}

Result<v1::Job> Client::pause(const std::string& name) {
  v1::PauseJobRequest request;
  request.set_name(name);
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::PauseJob, request);
}

Result<v1::Job> Client::resume(const std::string& name) {
  v1::ResumeJobRequest request;
  request.set_name(name);
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::ResumeJob, request);
}

Result<v1::Job> Client::cancel(const std::string& name) {
  v1::CancelJobRequest request;
  request.set_name(name);
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::CancelJob, request);
}

Result<v1::Job> Client::update(const v1::UpdateJobRequest& request) {
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::UpdateJob, request);
}

Result<v1::ExplainJobResponse> Client::explain(const std::string& name) {
  v1::ExplainJobRequest request;
  request.set_name(name);
  return impl_->call(*impl_->jobs, &v1::JobService::Stub::ExplainJob, request);
}

Result<v1::ClusterStatus> Client::status() {
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::GetClusterStatus,
                     v1::GetClusterStatusRequest());
}

Result<v1::ClusterDiagnosis> Client::diagnose() {
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::DiagnoseCluster,
                     v1::DiagnoseClusterRequest());
}

Result<v1::ProbeWorkersResponse> Client::probe_workers(const v1::ProbeWorkersRequest& request) {
  const auto within = wire::from_proto(request.within());
  if (!within) return fail(within.error());
  v1::ProbeWorkersResponse response;
  const grpc::Status status = impl_->attempt(*impl_->admin, &v1::AdminService::Stub::ProbeWorkers,
                                             request, response, *within + kAnswerMargin, false);
  if (!status.ok()) return fail(impl_->explained(status));
  return response;
}

Result<v1::TestNotificationResponse> Client::test_notification(const std::string& hook) {
  v1::TestNotificationRequest request;
  request.set_hook(hook);
  v1::TestNotificationResponse response;
  const grpc::Status status =
      impl_->attempt(*impl_->admin, &v1::AdminService::Stub::TestNotification, request, response,
                     kHookTestTime + kAnswerMargin, false);
  if (!status.ok()) return fail(impl_->explained(status));
  return response;
}

Result<v1::ListWorkersResponse> Client::list_workers() {
  v1::ListWorkersRequest request;
  request.set_page_size(1000);
  return impl_->all_pages(*impl_->admin, &v1::AdminService::Stub::ListWorkers, request);
}

Result<v1::Worker> Client::get_worker(const std::string& name) {
  v1::GetWorkerRequest request;
  request.set_name(name);
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::GetWorker, request);
}

Result<v1::Worker> Client::drain_worker(const std::string& name) {
  v1::DrainWorkerRequest request;
  request.set_name(name);
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::DrainWorker, request);
}

Result<v1::Worker> Client::resume_worker(const std::string& name) {
  v1::ResumeWorkerRequest request;
  request.set_name(name);
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::ResumeWorker, request);
}

Result<v1::Worker> Client::remove_worker(const std::string& name) {
  v1::RemoveWorkerRequest request;
  request.set_name(name);
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::RemoveWorker, request);
}

Result<v1::Project> Client::create_project(const std::string& project) {
  v1::CreateProjectRequest request;
  request.set_project(project);
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::CreateProject, request);
}

Result<v1::ListProjectsResponse> Client::list_projects() {
  return impl_->all_pages(*impl_->admin, &v1::AdminService::Stub::ListProjects,
                          v1::ListProjectsRequest());
}

Result<v1::CreateTokenResponse> Client::create_token(const v1::CreateTokenRequest& request) {
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::CreateToken, request);
}

Result<v1::CreateJoinFileResponse> Client::create_join_file(
    const v1::CreateJoinFileRequest& request) {
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::CreateJoinFile, request);
}

Result<v1::ListTokensResponse> Client::list_tokens() {
  return impl_->all_pages(*impl_->admin, &v1::AdminService::Stub::ListTokens,
                          v1::ListTokensRequest());
}

Status Client::revoke_token(std::uint64_t id, bool join_file) {
  v1::RevokeTokenRequest request;
  request.set_id(id);
  request.set_join_file(join_file);
  auto response = impl_->call(*impl_->admin, &v1::AdminService::Stub::RevokeToken, request);
  return response ? Status::success() : response.error();
}

Result<v1::ListAuditEntriesResponse> Client::list_audit(
    const v1::ListAuditEntriesRequest& request) {
  return impl_->call(*impl_->admin, &v1::AdminService::Stub::ListAuditEntries, request);
}

Result<v1::ListJobCostsResponse> Client::job_costs(const v1::ListJobCostsRequest& request) {
  return impl_->all_pages(*impl_->billing, &v1::BillingService::Stub::ListJobCosts, request);
}

Result<v1::ListMachineCostsResponse> Client::machine_costs(const std::string& month) {
  v1::ListMachineCostsRequest request;
  request.set_month(month);
  return impl_->call(*impl_->billing, &v1::BillingService::Stub::ListMachineCosts, request);
}

Result<v1::PriceBook> Client::prices() {
  return impl_->call(*impl_->billing, &v1::BillingService::Stub::GetPriceBook,
                     v1::GetPriceBookRequest());
}

Result<v1::PriceBook> Client::set_prices(const std::string& yaml) {
  v1::SetPriceBookRequest request;
  request.set_yaml(yaml);
  return impl_->call(*impl_->billing, &v1::BillingService::Stub::SetPriceBook, request);
}

}  // namespace overwinter::client
