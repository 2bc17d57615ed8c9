// One function a command: prints, and returns the exit code. Options are plain values filled by
// command_line.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/globals.h"

namespace overwinter::cli {

struct UpOptions {
  std::uint32_t workers = 0;  // 0: 2, or what the folder was made with
  std::string dir;
  std::vector<std::string> devices;
};
int run_up(const Globals& globals, const UpOptions& options);
struct DownOptions {
  std::string dir;
  bool purge = false;
};
int run_down(const Globals& globals, const DownOptions& options);
int run_status(const Globals& globals);
struct LoginOptions {
  std::string name = "default";
};
int run_login(const Globals& globals, const LoginOptions& options);
int run_version(const Globals& globals);

struct DashboardOptions {
  std::string invite;           // whose token; empty: none, the page is opened here
  std::string role = "viewer";  // of the invited
  std::string project;          // of the invited
  std::uint16_t port = 0;       // of 127.0.0.1; 0: a free one
  bool no_browser = false;
};
// Forwards until Ctrl-C (0) or --timeout (124). With `invite`: prints one line and ends.
int run_dashboard(const Globals& globals, const DashboardOptions& options);

struct WaitOptions {
  bool wait = false;
  bool follow = false;
};
struct SubmitOptions {
  std::string file;
  std::vector<std::string> settings;
  std::string request_id;
  WaitOptions waiting;
};
int run_submit(const Globals& globals, const SubmitOptions& options);
struct PlanOptions {
  std::string file;
  std::vector<std::string> settings;
};
int run_plan(const Globals& globals, const PlanOptions& options);
struct MatmulOptions {
  std::string a;
  std::string b;
  std::string output;
  std::string precision;
  std::string algorithm;
  double tolerance = 0;
  std::string transport;
  std::uint32_t workers = 0;
  std::string cap;
  std::string project;
  std::string name;
  std::vector<std::string> settings;
};
int run_matmul(const Globals& globals, const MatmulOptions& options);

struct RunOptions {
  std::vector<std::string> command;
  std::uint32_t workers = 0;
  std::string device;
  std::string cap;
  std::vector<std::string> env;  // NAME=VALUE, or NAME: as it is here
  std::vector<std::string> secrets;
  std::string workdir = ".";  // empty: none
  std::string checkpoint_dir;
  std::vector<std::string> outputs;
  std::string setup;
  std::string launcher;
  std::string memory;
  std::string project;
  std::string name;
  std::vector<std::string> settings;
  bool print_yaml = false;
  bool detach = false;
};
// The job file that stands for the options. INVALID_ARGUMENT names the option.
[[nodiscard]] Result<std::string> run_job_text(const RunOptions& options);
int run_run(const Globals& globals, const RunOptions& options);

struct JobsListOptions {
  std::string project;
  std::string filter;
  std::int32_t limit = 50;
};
int run_jobs_list(const Globals& globals, const JobsListOptions& options);
int run_jobs_get(const Globals& globals, const std::string& job);
int run_jobs_watch(const Globals& globals, const std::string& job);
enum class JobVerb { kPause, kResume, kCancel };
int run_jobs_act(const Globals& globals, const std::string& job, JobVerb verb);
int run_jobs_explain(const Globals& globals, const std::string& job);
struct JobsDownloadOptions {
  std::string job;
  std::string output;    // a file or a folder; empty: of an exec job a folder named as the job
  bool workdir = false;  // of an exec job: its folder instead of its outputs
};
int run_jobs_download(const Globals& globals, const JobsDownloadOptions& options);
struct JobsUpdateOptions {
  std::string job;
  std::string cap;
  std::string priority;
};
int run_jobs_update(const Globals& globals, const JobsUpdateOptions& options);

int run_checkpoints_list(const Globals& globals, const std::string& job);
// `checkpoint`: JOB or JOB@STEP. `output`: a file for the weights alone, or a folder ("/" at its
// end, or there already) for a model with its config.json, or for all files of an exec job.
int run_checkpoints_get(const Globals& globals, const std::string& checkpoint,
                        const std::string& output);
int run_checkpoints_verify(const Globals& globals, const std::string& checkpoint);

int run_workers_list(const Globals& globals);
int run_workers_get(const Globals& globals, const std::string& worker);
struct LogsOptions {
  std::string job;
  bool follow = false;
  std::optional<std::uint32_t> rank;
  std::optional<std::uint32_t> attempt;
  std::optional<std::uint64_t> tail;
  std::string since;
};
int run_logs(const Globals& globals, const LogsOptions& options);

struct DoctorOptions {
  bool pairs = false;
  std::string output;  // a file for the whole report; empty: none
};
// 0: nothing has failed; 1: something has; 3, 4: the coordinator could not be asked, or refused.
int run_doctor(const Globals& globals, const DoctorOptions& options);

// `hook` empty: all. 0: every one was told; 1: one was not; 5: there is no such hook, or none.
int run_notify_test(const Globals& globals, const std::string& hook);

struct BackupOptions {
  std::string output;
  bool with_keys = false;
};
int run_backup(const Globals& globals, const BackupOptions& options);

enum class WorkerVerb { kDrain, kResume, kRemove };
int run_workers_act(const Globals& globals, const std::string& worker, WorkerVerb verb);

struct TokenOptions {
  std::string role;
  std::string name;
  std::string project;
  std::string ttl;
  std::uint32_t uses = 1;
  std::string output;
  std::vector<std::string> projects;  // of a join file
  bool may_set_price = false;
};
int run_tokens_create(const Globals& globals, const TokenOptions& options);
int run_tokens_list(const Globals& globals);
int run_tokens_revoke(const Globals& globals, std::uint64_t id, bool join_file);

struct SecretOptions {
  std::string name;
  std::string project;  // empty: the token's
};
// The value comes from standard input.
int run_secrets_set(const Globals& globals, const SecretOptions& options);
int run_secrets_list(const Globals& globals, const SecretOptions& options);
int run_secrets_delete(const Globals& globals, const SecretOptions& options);

struct AuditOptions {
  std::string actor;
  std::string object;
  std::string since;  // how long ago, or a time
  bool refusals = false;
  int limit = 100;     // of list
  std::string output;  // of export
};
int run_audit_list(const Globals& globals, const AuditOptions& options);
int run_audit_export(const Globals& globals, const AuditOptions& options);

int run_projects_list(const Globals& globals);
int run_projects_create(const Globals& globals, const std::string& project);
int run_prices_get(const Globals& globals);
int run_prices_set(const Globals& globals, const std::string& file);
struct CostOptions {
  std::string job;
  std::string project;
  std::string month;
  bool machines = false;
};
int run_cost(const Globals& globals, const CostOptions& options);

}  // namespace overwinter::cli
