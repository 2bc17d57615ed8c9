// logs
#include <google/protobuf/util/time_util.h>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/job_logs.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

Result<v1::ReadLogsRequest> request_of(const LogsOptions& options, const std::string& name) {
  v1::ReadLogsRequest request;
  request.set_name(name);
  request.set_follow(options.follow);
  if (options.rank) request.set_rank(*options.rank);
  if (options.attempt) request.set_attempt(*options.attempt);
  if (options.tail) request.set_tail(*options.tail);
  if (!options.since.empty()) {
    const auto age = parse_duration(options.since);
    if (!age) return fail(Code::kInvalidArgument, age.error().message, "--since");
    *request.mutable_newer_than() =
        google::protobuf::util::TimeUtil::MillisecondsToDuration(age->count());
  }
  return request;
}

}  // namespace

int run_logs(const Globals& globals, const LogsOptions& options) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto name = (*client)->resolve_job(options.job);
  if (!name) return report(name.error());
  const auto request = request_of(options, *name);
  if (!request) return report(request.error());
  auto job = (*client)->get_job(*name);
  if (!job) return report(job.error());
  const Status status = print_logs(globals, **client, *request, *job);
  if (status.code == Code::kCancelled) return interrupted() ? kInterrupted : kTimeout;
  return status.ok() ? kDone : report(status);
}

}  // namespace overwinter::cli
