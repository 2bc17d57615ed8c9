#include "coordinator/rpc/method_table.h"

#include <array>

namespace overwinter::rpc {
namespace {

constexpr MethodRule needs(std::string_view path, Permission permission) {
  return {path, Access::kPermission, permission};
}
constexpr MethodRule anyone_known(std::string_view path) {
  return {path, Access::kAnyPrincipal, {}};
}

constexpr std::array kPeople{
    needs("/overwinter.v1.JobService/SubmitJob", Permission::kSubmitJobs),
    needs("/overwinter.v1.JobService/BatchSubmitJobs", Permission::kSubmitJobs),
    needs("/overwinter.v1.JobService/PlanJob", Permission::kReadJobs),
    needs("/overwinter.v1.JobService/GetJob", Permission::kReadJobs),
    needs("/overwinter.v1.JobService/ListJobs", Permission::kReadJobs),
    needs("/overwinter.v1.JobService/WatchJobs", Permission::kReadJobs),
    needs("/overwinter.v1.JobService/ExplainJob", Permission::kReadJobs),
    needs("/overwinter.v1.JobService/PauseJob", Permission::kActOnOwnJobs),
    needs("/overwinter.v1.JobService/ResumeJob", Permission::kActOnOwnJobs),
    needs("/overwinter.v1.JobService/CancelJob", Permission::kActOnOwnJobs),
    needs("/overwinter.v1.JobService/UpdateJob", Permission::kActOnOwnJobs),
    needs("/overwinter.v1.AdminService/GetClusterStatus", Permission::kReadWorkers),
    needs("/overwinter.v1.AdminService/ListWorkers", Permission::kReadWorkers),
    needs("/overwinter.v1.AdminService/GetWorker", Permission::kReadWorkers),
    needs("/overwinter.v1.AdminService/DrainWorker", Permission::kActOnWorkers),
    needs("/overwinter.v1.AdminService/ResumeWorker", Permission::kActOnWorkers),
    needs("/overwinter.v1.AdminService/RemoveWorker", Permission::kActOnWorkers),
    needs("/overwinter.v1.AdminService/DiagnoseCluster", Permission::kReadWorkers),
    needs("/overwinter.v1.AdminService/ProbeWorkers", Permission::kActOnWorkers),
    needs("/overwinter.v1.AdminService/CreateProject", Permission::kManageProjects),
    needs("/overwinter.v1.AdminService/ListProjects", Permission::kReadJobs),
    needs("/overwinter.v1.AdminService/CreateToken", Permission::kManageTokens),
    needs("/overwinter.v1.AdminService/CreateJoinFile", Permission::kManageTokens),
    needs("/overwinter.v1.AdminService/ListTokens", Permission::kManageTokens),
    needs("/overwinter.v1.AdminService/RevokeToken", Permission::kManageTokens),
    needs("/overwinter.v1.AdminService/TestNotification", Permission::kManageProjects),
    // It holds every token's hash and, if wanted, every key: for who may make tokens of every role.
    needs("/overwinter.v1.AdminService/CreateBackup", Permission::kManageTokens),
    needs("/overwinter.v1.AdminService/ListAuditEntries", Permission::kReadAudit),
    MethodRule{"/overwinter.v1.AdminService/ExchangeLoginCode", Access::kNobodyNeeded, {}},
    needs("/overwinter.v1.BillingService/ListJobCosts", Permission::kReadMoney),
    needs("/overwinter.v1.BillingService/ListMachineCosts", Permission::kReadAllMoney),
    needs("/overwinter.v1.BillingService/GetPriceBook", Permission::kReadAllMoney),
    needs("/overwinter.v1.BillingService/SetPriceBook", Permission::kSetPrices),
    needs("/overwinter.v1.ArtifactService/CheckArtifacts", Permission::kSubmitJobs),
    needs("/overwinter.v1.ArtifactService/UploadArtifact", Permission::kSubmitJobs),
    needs("/overwinter.v1.ArtifactService/DownloadArtifact", Permission::kReadJobs),
    needs("/overwinter.v1.LogService/ReadLogs", Permission::kReadJobs),
    needs("/overwinter.v1.LogService/ListCurves", Permission::kReadJobs),
    needs("/overwinter.v1.LogService/ReadCurve", Permission::kReadJobs),
    needs("/overwinter.v1.CheckpointService/ListCheckpoints", Permission::kReadJobs),
    needs("/overwinter.v1.CheckpointService/GetCheckpoint", Permission::kReadJobs),
    needs("/overwinter.v1.CheckpointService/DownloadCheckpoint", Permission::kReadJobs),
    needs("/overwinter.v1.CheckpointService/VerifyCheckpoint", Permission::kReadJobs),
    needs("/overwinter.v1.SecretService/SetSecret", Permission::kSubmitJobs),
    needs("/overwinter.v1.SecretService/ListSecrets", Permission::kSubmitJobs),
    needs("/overwinter.v1.SecretService/DeleteSecret", Permission::kSubmitJobs),
    anyone_known("/grpc.health.v1.Health/Check"),
    anyone_known("/grpc.health.v1.Health/Watch"),
    anyone_known("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
};

constexpr std::array kWorkers{
    needs("/overwinter.v1.WorkerService/Join", Permission::kJoin),
    needs("/overwinter.v1.WorkerService/Renew", Permission::kWorkerStream),
    needs("/overwinter.v1.WorkerService/Connect", Permission::kWorkerStream),
    needs("/overwinter.v1.ArtifactService/ReadBlock", Permission::kArtifactByCapability),
    needs("/overwinter.v1.ArtifactService/ReadBlob", Permission::kArtifactByCapability),
    needs("/overwinter.v1.ArtifactService/PutTile", Permission::kArtifactByCapability),
    needs("/overwinter.v1.ArtifactService/PutOutputs", Permission::kArtifactByCapability),
    needs("/overwinter.v1.SecretService/ReadSecrets", Permission::kArtifactByCapability),
    needs("/overwinter.v1.LogService/PushLogs", Permission::kArtifactByCapability),
    needs("/overwinter.v1.CheckpointService/BeginCheckpoint", Permission::kArtifactByCapability),
    needs("/overwinter.v1.CheckpointService/PutCheckpointFile", Permission::kArtifactByCapability),
    needs("/overwinter.v1.CheckpointService/CommitCheckpoint", Permission::kArtifactByCapability),
    needs("/overwinter.v1.CheckpointService/GetLastCheckpoint", Permission::kArtifactByCapability),
    needs("/overwinter.v1.CheckpointService/ReadCheckpointFile", Permission::kArtifactByCapability),
};

}  // namespace

std::span<const MethodRule> people_methods() {
  return kPeople;
}
std::span<const MethodRule> worker_methods() {
  return kWorkers;
}

std::optional<MethodRule> find_rule(std::span<const MethodRule> table, std::string_view path) {
  for (const auto& rule : table) {
    if (rule.path == path) return rule;
  }
  return std::nullopt;
}

}  // namespace overwinter::rpc
