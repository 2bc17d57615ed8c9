// Client: one coordinator, as one principal. Calls have deadlines; one that finds nobody is made
// once more, so that a restart is not noticed. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/sdk/context.h"
#include "common/base/bytes.h"
#include "common/base/time.h"
#include "common/domain/checkpoint.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/billing.pb.h"
#include "overwinter/v1/checkpoint.pb.h"
#include "overwinter/v1/job.pb.h"
#include "overwinter/v1/log.pb.h"
#include "overwinter/v1/secret.pb.h"

namespace overwinter::client {

// Called as bytes go: done and total. May be empty.
using ByteProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;
// Called with each new state of a job; returns false to stop watching.
using JobSeen = std::function<bool(const v1::Job& job)>;

// What a backup holds, as its manifest says.
struct BackupInfo {
  std::string cluster;
  std::uint64_t generation = 0;
  std::uint64_t turn = 0;  // the last of its log
  Time turn_time{};
  std::uint64_t files = 0;
  std::uint64_t size_bytes = 0;
  bool keys = false;
};

class Client {
 public:
  // Does not dial yet. `call_timeout`: of each single call.
  [[nodiscard]] static Result<std::unique_ptr<Client>> create(const Credentials& credentials,
                                                              Duration call_timeout);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] Result<v1::Job> submit(const v1::SubmitJobRequest& request);
  [[nodiscard]] Result<v1::PlanJobResponse> plan(const v1::PlanJobRequest& request);
  [[nodiscard]] Result<v1::Job> get_job(const std::string& name);
  [[nodiscard]] Result<v1::ListJobsResponse> list_jobs(const v1::ListJobsRequest& request);
  [[nodiscard]] Result<v1::Job> pause(const std::string& name);
  [[nodiscard]] Result<v1::Job> resume(const std::string& name);
  [[nodiscard]] Result<v1::Job> cancel(const std::string& name);
  [[nodiscard]] Result<v1::Job> update(const v1::UpdateJobRequest& request);
  [[nodiscard]] Result<v1::ExplainJobResponse> explain(const std::string& name);
  // JOB as people write it (full name, last part, a unique prefix of that, @last) to
  // projects/P/jobs/J.
  [[nodiscard]] Result<std::string> resolve_job(const std::string& text);

  // Calls `seen` with the job now and at each change, until it returns false. Sits out `outage`
  // without a coordinator (a restart); `stopped` is asked about ten times a second and ends the
  // watch with CANCELLED; `away` is told once each time why the coordinator cannot be reached.
  [[nodiscard]] Status watch(const std::string& name, Duration outage, const JobSeen& seen,
                             const std::function<bool()>& stopped,
                             const std::function<void(const Status&)>& away);

  // Calls `seen` with the job's lines as they come, with `follow` until the job has ended, through
  // restarts of the coordinator as watch() does; without it once. `stopped` and `away` as there.
  [[nodiscard]] Status read_logs(v1::ReadLogsRequest request, Duration outage,
                                 const std::function<void(const v1::ReadLogsResponse&)>& seen,
                                 const std::function<bool()>& stopped,
                                 const std::function<void(const Status&)>& away);
  [[nodiscard]] Result<v1::ListCurvesResponse> list_curves(const std::string& job);
  [[nodiscard]] Result<v1::ReadCurveResponse> read_curve(const v1::ReadCurveRequest& request);

  [[nodiscard]] Result<v1::ClusterStatus> status();
  [[nodiscard]] Result<v1::ClusterDiagnosis> diagnose();
  // Takes as long as the coordinator takes, at most the request's `within` (which is to be set):
  // not bound by the time of a single call, and not made twice.
  [[nodiscard]] Result<v1::ProbeWorkersResponse> probe_workers(
      const v1::ProbeWorkersRequest& request);
  // Of one hook, or (empty) of all; takes as long as they take, at most 15 s, and is not made
  // twice.
  [[nodiscard]] Result<v1::TestNotificationResponse> test_notification(const std::string& hook);
  [[nodiscard]] Result<v1::ListWorkersResponse> list_workers();
  [[nodiscard]] Result<v1::Worker> get_worker(const std::string& name);
  [[nodiscard]] Result<v1::Worker> drain_worker(const std::string& name);
  [[nodiscard]] Result<v1::Worker> resume_worker(const std::string& name);
  [[nodiscard]] Result<v1::Worker> remove_worker(const std::string& name);
  [[nodiscard]] Result<v1::Project> create_project(const std::string& project);
  [[nodiscard]] Result<v1::ListProjectsResponse> list_projects();
  [[nodiscard]] Result<v1::CreateTokenResponse> create_token(const v1::CreateTokenRequest& request);
  [[nodiscard]] Result<v1::CreateJoinFileResponse> create_join_file(
      const v1::CreateJoinFileRequest& request);
  [[nodiscard]] Result<v1::ListTokensResponse> list_tokens();
  [[nodiscard]] Status revoke_token(std::uint64_t id, bool join_file);
  // One page, newest first.
  [[nodiscard]] Result<v1::ListAuditEntriesResponse> list_audit(
      const v1::ListAuditEntriesRequest& request);

  [[nodiscard]] Result<v1::ListJobCostsResponse> job_costs(const v1::ListJobCostsRequest& request);
  [[nodiscard]] Result<v1::ListMachineCostsResponse> machine_costs(const std::string& month);
  [[nodiscard]] Result<v1::PriceBook> prices();
  [[nodiscard]] Result<v1::PriceBook> set_prices(const std::string& yaml);

  [[nodiscard]] Result<v1::ListCheckpointsResponse> list_checkpoints(const std::string& job);
  // `name`: projects/P/jobs/J/checkpoints/STEP, or …/latest.
  [[nodiscard]] Result<v1::Checkpoint> get_checkpoint(const std::string& name);
  // Takes as long as the coordinator reads: no deadline of a single call.
  [[nodiscard]] Result<v1::VerifyCheckpointResponse> verify_checkpoint(const std::string& name);
  // Its files of these kinds (none: all) into a folder; each whole and of the right digest.
  [[nodiscard]] Result<std::vector<CheckpointFile>> download_checkpoint(
      const std::string& name, const std::vector<CheckpointFileKind>& kinds,
      const std::string& folder, const ByteProgress& progress);

  // Uploads a file unless the project has it; returns artifact://SHA256.
  [[nodiscard]] Result<std::string> upload(const std::string& project, const std::string& path,
                                           const ByteProgress& progress);
  // The result of a job to a file: whole or not at all.
  [[nodiscard]] Status download_result(const std::string& job, const std::string& path,
                                       const ByteProgress& progress);
  // What an exec job left, its outputs or (`workdir`) its folder, as a folder that is not there yet
  // or is empty: whole or not at all. ALREADY_EXISTS: it holds something.
  [[nodiscard]] Status download_folder(const std::string& job, bool workdir,
                                       const std::string& folder, const ByteProgress& progress);

  // `project` empty: the token's. A value is never read back.
  [[nodiscard]] Result<v1::Secret> set_secret(const v1::SetSecretRequest& request);
  [[nodiscard]] Result<v1::ListSecretsResponse> list_secrets(const std::string& project);
  [[nodiscard]] Status delete_secret(const std::string& project, const std::string& name);

  // All that a coordinator needs to go on elsewhere, to a file (0600) that is proven as it comes:
  // whole or not at all. `passphrase` empty: without keys. `stopped` is asked about ten times a
  // second and ends it with CANCELLED. Not bound by the time of a single call.
  [[nodiscard]] Result<BackupInfo> backup(const std::string& passphrase, const std::string& path,
                                          const ByteProgress& progress,
                                          const std::function<bool()>& stopped);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Exchanges the line of `tokens create` (ow1_…) for a token; returns a context ready to store, its
// files written under `folder`, 0600.
[[nodiscard]] Result<Context> login(const std::string& line, const std::string& folder,
                                    const std::string& context_name, Duration timeout);

}  // namespace overwinter::client
