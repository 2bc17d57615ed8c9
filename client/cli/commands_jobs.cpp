// jobs list|get|watch|pause|resume|cancel|explain|download|update
#include <fmt/format.h>

#include <filesystem>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/follow.h"
#include "client/cli/log_text.h"
#include "client/cli/progress.h"
#include "common/base/money.h"

namespace overwinter::cli {
namespace {

constexpr int kJobsListed = 50;  // unless --limit says more

std::string cost_text(const v1::Job& job) {
  std::string text = amount_text(job.cost().charged());
  if (job.cost().has_cap()) text += "/" + amount_text(job.cost().cap());
  return text;
}

std::string left_text(const v1::Job& job) {
  if (!job.progress().has_left() || job.state() != v1::Job::RUNNING) return "-";
  return duration_text(job.progress().left());
}

// Runs `body` with a connected client and the job's full name.
template <class Body>
int with_job(const Globals& globals, const std::string& job, Body body) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto name = (*client)->resolve_job(job);
  if (!name) return report(name.error());
  return body(**client, *name);
}

int print_result(const Globals& globals, const Result<v1::Job>& job) {
  if (!job) return report(job.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *job);
  } else {
    print_line(short_name(job->name()) + " " + v1::Job::State_Name(job->state()) +
               (job->state_reason().empty() ? "" : ": " + printable(job->state_reason())));
  }
  return kDone;
}

// Pages until there are as many as wanted or no more; a page may be short and still have a next
// one.
Result<v1::ListJobsResponse> list_jobs(client::Client& client, v1::ListJobsRequest request,
                                       int limit) {
  const int wanted = limit > 0 ? limit : kJobsListed;
  v1::ListJobsResponse all;
  for (;;) {
    request.set_page_size(wanted - all.jobs_size());
    auto page = client.list_jobs(request);
    if (!page) return page;
    all.mutable_jobs()->MergeFrom(page->jobs());
    all.set_next_page_token(page->next_page_token());
    if (all.total_size() == 0) {
      all.set_total_size(page->total_size());
      all.set_total_size_capped(page->total_size_capped());
    }
    if (all.event() == 0) all.set_event(page->event());
    if (all.next_page_token().empty() || all.jobs_size() >= wanted) return all;
    request.set_page_token(all.next_page_token());
  }
}

}  // namespace

int run_jobs_list(const Globals& globals, const JobsListOptions& options) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  v1::ListJobsRequest request;
  request.set_parent("projects/" + (options.project.empty() ? std::string("-") : options.project));
  request.set_filter(options.filter);
  auto list = list_jobs(**client, request, options.limit);
  if (!list) return report(list.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *list);
    return kDone;
  }
  Table table({"JOB", "STATE", "PROGRESS", "WORKERS", "COST/CAP", "LEFT", "REASON"});
  for (const v1::Job& job : list->jobs()) {
    table.add({short_name(job.name()), v1::Job::State_Name(job.state()),
               fmt::format("{:.0f} %", job.progress().fraction() * 100),
               std::to_string(job.worker_count()), cost_text(job), left_text(job),
               printable(job.state_reason())});
  }
  if (table.empty()) {
    say(globals.output, "no jobs; `overwinter matmul A.npy B.npy -o C.npy` is one");
    return kDone;
  }
  table.print(globals.output);
  if (!list->next_page_token().empty()) {
    const std::string of = list->total_size() == 0
                               ? ""
                               : fmt::format(" of {}{}", list->total_size(),
                                             list->total_size_capped() ? " or more" : "");
    say(globals.output, fmt::format("{}{} shown; --limit shows more", list->jobs_size(), of));
  }
  return kDone;
}

int run_jobs_get(const Globals& globals, const std::string& job) {
  return with_job(globals, job, [&](client::Client& client, const std::string& name) {
    auto found = client.get_job(name);
    if (!found) return report(found.error());
    if (is_machine(globals.output)) {
      print_message(globals.output, *found);
    } else {
      print_job(*found);
    }
    return kDone;
  });
}

int run_jobs_watch(const Globals& globals, const std::string& job) {
  return with_job(globals, job, [&](client::Client& client, const std::string& name) {
    auto followed = follow_job(globals, client, name, true);
    if (!followed) return report(followed.error());
    if (is_machine(globals.output)) {
      print_message(globals.output, followed->job);
    } else if (followed->exit_code != kInterrupted && followed->exit_code != kTimeout) {
      print_job(followed->job);
    }
    return followed->exit_code;
  });
}

int run_jobs_act(const Globals& globals, const std::string& job, JobVerb verb) {
  return with_job(globals, job, [&](client::Client& client, const std::string& name) {
    switch (verb) {
      case JobVerb::kPause:
        return print_result(globals, client.pause(name));
      case JobVerb::kResume:
        return print_result(globals, client.resume(name));
      case JobVerb::kCancel:
        return print_result(globals, client.cancel(name));
    }
    return kBadInput;
  });
}

namespace {

void print_failure(const v1::ExplainJobResponse& answer) {
  const auto row = [](std::string_view key, const std::string& value) {
    if (!value.empty()) print_line(fmt::format("  {:<12} {}", key, value));
  };
  const v1::Attempt& failure = answer.failure();
  std::string how = failure.signal() != 0      ? fmt::format("signal {}", failure.signal())
                    : failure.exit_code() != 0 ? fmt::format("exit code {}", failure.exit_code())
                                               : "";
  if (failure.has_rank())
    how = fmt::format("rank {}{}{}", failure.rank(), how.empty() ? "" : ", ", how);
  row("first", how);
  row("attempt", std::to_string(failure.number()));
  row("worker", printable(failure.worker()));
  if (failure.step() > 0) row("step", std::to_string(failure.step()));
  if (answer.memory_peak_bytes() > 0) row("peak memory", format_bytes(answer.memory_peak_bytes()));
  row("money lost", money_text(answer.wasted()));
  if (answer.gang_wait().amount_micros() > 0) row("waited for", money_text(answer.gang_wait()));
  row("checkpoint",
      answer.checkpoint_step() > 0 ? fmt::format("step {}", answer.checkpoint_step()) : "none");
  if (!answer.last_lines().empty()) print_line("  last lines");
  for (const std::string& line : answer.last_lines()) print_line("    " + log_text(line));
}

}  // namespace

int run_jobs_explain(const Globals& globals, const std::string& job) {
  return with_job(globals, job, [&](client::Client& client, const std::string& name) {
    auto answer = client.explain(name);
    if (!answer) return report(answer.error());
    if (is_machine(globals.output)) {
      print_message(globals.output, *answer);
      return kDone;
    }
    print_line(printable(answer->summary()));
    if (answer->has_failure()) print_failure(*answer);
    for (const v1::RuledOut& worker : answer->workers()) {
      print_line(fmt::format("  {}: {}", printable(worker.what()), printable(worker.why())));
    }
    if (!answer->smallest_change().empty()) {
      print_line("what would help: " + printable(answer->smallest_change()));
    }
    for (const std::string& command : answer->commands()) print_line("  " + printable(command));
    return kDone;
  });
}

int run_jobs_download(const Globals& globals, const JobsDownloadOptions& options) {
  return with_job(globals, options.job, [&](client::Client& client, const std::string& name) {
    const auto job = client.get_job(name);
    if (!job) return report(job.error());
    const bool is_folder = job->spec().has_exec() || options.workdir;
    std::string path = options.output;
    if (path.empty()) {
      if (!is_folder)
        return report(
            error(Code::kInvalidArgument, "say where it goes", "-o", "for example -o C.npy"));
      path = short_name(name);
    }
    std::error_code ignored;
    if (!is_folder && std::filesystem::is_directory(path, ignored)) path += "/C.npy";
    Progress bar("download", globals.output.quiet);
    const auto drawn = [&](std::uint64_t done, std::uint64_t total) { bar.bytes(done, total); };
    const Status status = is_folder ? client.download_folder(name, options.workdir, path, drawn)
                                    : client.download_result(name, path, drawn);
    if (!status.ok()) return report(status);
    print_line(path);
    return kDone;
  });
}

int run_jobs_update(const Globals& globals, const JobsUpdateOptions& options) {
  if (options.cap.empty() && options.priority.empty()) {
    return report(error(Code::kInvalidArgument, "nothing to change", "",
                        "say --cap AMOUNT or --priority low|normal|high"));
  }
  v1::UpdateJobRequest request;
  request.set_priority(options.priority);
  if (!options.cap.empty()) {
    auto cap = parse_money(options.cap);
    if (!cap) return report(error(Code::kInvalidArgument, cap.error().message, "--cap"));
    request.mutable_cap()->set_amount_micros(cap->micros);
  }
  return with_job(globals, options.job, [&](client::Client& client, const std::string& name) {
    request.set_name(name);
    auto job = client.update(request);
    if (job && job->state() == v1::Job::PAUSED) {
      say(globals.output, "`overwinter jobs resume " + short_name(name) + "` lets it go on");
    }
    return print_result(globals, job);
  });
}

}  // namespace overwinter::cli
