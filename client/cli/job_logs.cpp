#include "client/cli/job_logs.h"

#include <fmt/format.h>

#include <cstdio>

#include "client/cli/exit_codes.h"
#include "client/cli/log_text.h"
#include "common/base/bytes.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

constexpr Duration kLogOutage{5 * 60 * 1000};

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

Status print_logs(const Globals& globals, client::Client& client,
                  const v1::ReadLogsRequest& request, const v1::Job& job) {
  const bool ranks = !request.has_rank() && (job.plan().workers_max() != 1 ||
                                             job.plan().exec().processes_per_worker() > 1);
  const bool attempts = !request.has_attempt() && job.attempt() > 1;
  const auto seen = [&](const v1::ReadLogsResponse& response) {
    for (const v1::LogLine& line : response.lines()) print_log_line(globals, line, ranks, attempts);
    std::fflush(stdout);
  };
  const auto stopped = [&] { return interrupted() || timed_out(globals); };
  const auto away = [&](const Status& status) {
    say(globals.output, "the coordinator is away (" + printable(status.message) +
                            "); trying again for up to " + format_duration(kLogOutage));
  };
  return client.read_logs(request, kLogOutage, seen, stopped, away);
}

}  // namespace overwinter::cli
