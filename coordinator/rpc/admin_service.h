// AdminService: workers, projects, tokens, join files, questions of `overwinter doctor`, tests of
// hooks. Methods as in admin.proto.
#pragma once

#include "coordinator/backup/backups.h"
#include "coordinator/rpc/login_codes.h"
#include "coordinator/rpc/service_context.h"
#include "coordinator/rpc/worker_probes.h"
#include "coordinator/runtime/notices.h"
#include "coordinator/store/log_check.h"
#include "overwinter/v1/admin.grpc.pb.h"

namespace overwinter::rpc {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  AdminService(ServiceContext& context, WorkerProbes& probes, runtime::Notices& notices,
               backup::Backups& backups, store::LogChecks& log_checks)
      : context_(context),
        probes_(probes),
        notices_(notices),
        backups_(backups),
        log_checks_(log_checks) {}
  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  Reactor* GetClusterStatus(Call* call, const v1::GetClusterStatusRequest* request,
                            v1::ClusterStatus* response) override;
  Reactor* ListWorkers(Call* call, const v1::ListWorkersRequest* request,
                       v1::ListWorkersResponse* response) override;
  Reactor* GetWorker(Call* call, const v1::GetWorkerRequest* request, v1::Worker* worker) override;
  Reactor* DrainWorker(Call* call, const v1::DrainWorkerRequest* request,
                       v1::Worker* worker) override;
  Reactor* ResumeWorker(Call* call, const v1::ResumeWorkerRequest* request,
                        v1::Worker* worker) override;
  Reactor* RemoveWorker(Call* call, const v1::RemoveWorkerRequest* request,
                        v1::Worker* worker) override;
  Reactor* DiagnoseCluster(Call* call, const v1::DiagnoseClusterRequest* request,
                           v1::ClusterDiagnosis* response) override;
  Reactor* ProbeWorkers(Call* call, const v1::ProbeWorkersRequest* request,
                        v1::ProbeWorkersResponse* response) override;
  Reactor* CreateProject(Call* call, const v1::CreateProjectRequest* request,
                         v1::Project* project) override;
  Reactor* ListProjects(Call* call, const v1::ListProjectsRequest* request,
                        v1::ListProjectsResponse* response) override;
  Reactor* CreateToken(Call* call, const v1::CreateTokenRequest* request,
                       v1::CreateTokenResponse* response) override;
  Reactor* CreateJoinFile(Call* call, const v1::CreateJoinFileRequest* request,
                          v1::CreateJoinFileResponse* response) override;
  Reactor* ListTokens(Call* call, const v1::ListTokensRequest* request,
                      v1::ListTokensResponse* response) override;
  Reactor* RevokeToken(Call* call, const v1::RevokeTokenRequest* request,
                       v1::RevokeTokenResponse* response) override;
  Reactor* ExchangeLoginCode(Call* call, const v1::ExchangeLoginCodeRequest* request,
                             v1::ExchangeLoginCodeResponse* response) override;
  Reactor* TestNotification(Call* call, const v1::TestNotificationRequest* request,
                            v1::TestNotificationResponse* response) override;
  grpc::ServerWriteReactor<v1::BackupPart>* CreateBackup(
      Call* call, const v1::CreateBackupRequest* request) override;
  Reactor* ListAuditEntries(Call* call, const v1::ListAuditEntriesRequest* request,
                            v1::ListAuditEntriesResponse* response) override;
  // The token behind a code, which is used up. UNAUTHENTICATED when it is none. Any thread.
  [[nodiscard]] Result<std::string> exchange(std::string_view code);

 private:
  Reactor* act(Call* call, const std::string& name, core::WorkerAction action, v1::Worker* worker);
  void describe_cluster(const Principal& caller, v1::ClusterDiagnosis& out);
  Status hand_over(const std::string& token, TokenId id, v1::CreateTokenResponse& response);

  ServiceContext& context_;
  WorkerProbes& probes_;
  runtime::Notices& notices_;
  backup::Backups& backups_;
  store::LogChecks& log_checks_;
  LoginCodes codes_;
};

}  // namespace overwinter::rpc
