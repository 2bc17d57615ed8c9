// logs
#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>

#include <cstdio>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/log_text.h"
#include "common/base/bytes.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

constexpr Duration kOutage{5 * 60 * 1000};

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

// Whose line it is, where there may be several.
std::string prefix_of(const v1::LogLine& line, bool ranks, bool attempts) {
  std::string text;
  if (attempts) text += fmt::format("{}.", line.attempt());
  if (ranks || attempts) text += fmt::format("{}", line.rank());
  return text.empty() ? text : "[" + text + "] ";
}

void print_log_line(const Globals& globals, const v1::LogLine& line, bool ranks, bool attempts) {
  if (is_machine(globals.output)) return print_message(globals.output, line);
  const std::string prefix = prefix_of(line, ranks, attempts);
  if (line.lines_lost() != 0 || line.bytes_lost() != 0) {
    say(globals.output, fmt::format("{}... {} lines ({}) are not kept", prefix, line.lines_lost(),
                                    format_bytes(line.bytes_lost())));
    return;
  }
  print_line(prefix + log_text(line.text()) + (line.cut() ? " …" : ""));
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
  const bool ranks = !options.rank && (job->plan().workers_max() != 1 ||
                                       job->plan().exec().processes_per_worker() > 1);
  const bool attempts = !options.attempt && job->attempt() > 1;
  const auto seen = [&](const v1::ReadLogsResponse& response) {
    for (const v1::LogLine& line : response.lines()) print_log_line(globals, line, ranks, attempts);
    std::fflush(stdout);
  };
  const auto stopped = [&] { return interrupted() || timed_out(globals); };
  const auto away = [&](const Status& status) {
    say(globals.output, "the coordinator is away (" + printable(status.message) +
                            "); trying again for up to " + format_duration(kOutage));
  };
  const Status status = (*client)->read_logs(*request, kOutage, seen, stopped, away);
  if (status.code == Code::kCancelled) return interrupted() ? kInterrupted : kTimeout;
  return status.ok() ? kDone : report(status);
}

}  // namespace overwinter::cli
