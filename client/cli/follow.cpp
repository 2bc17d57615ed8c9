#include "client/cli/follow.h"

#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>

#include "client/cli/exit_codes.h"
#include "client/cli/progress.h"
#include "client/cli/resource_text.h"
#include "common/base/bytes.h"
#include "common/base/clock.h"

namespace overwinter::cli {
namespace {

using google::protobuf::util::TimeUtil;

constexpr Duration kOutage{5 * 60 * 1000};

bool job_ended(const v1::Job& job) {
  return job.state() == v1::Job::SUCCEEDED || job.state() == v1::Job::FAILED ||
         job.state() == v1::Job::CANCELLED;
}

bool paused_for_good(const v1::Job& job) {
  return job.state() == v1::Job::PAUSED && !job.resumes_by_itself();
}

std::string detail_of(const v1::Job& job) {
  const v1::Progress& p = job.progress();
  std::string text = fmt::format("{} of {} units", p.units_done(), p.units_total());
  if (p.steps_total() > 0) {
    text = fmt::format("step {} of {}", p.step(), p.steps_total());
  } else if (job.spec().has_exec()) {  // it counts its steps itself, or none
    text = p.step() > 0 ? fmt::format("step {}", p.step()) : std::string();
  }
  if (p.has_loss()) text += fmt::format("  loss {:.4f}", p.loss());
  if (p.has_validation_loss()) text += fmt::format("  validation {:.4f}", p.validation_loss());
  if (p.gflops() > 0) text += fmt::format("  {:.1f} GFLOP/s", p.gflops());
  if (p.has_left() && TimeUtil::DurationToMilliseconds(p.left()) > 0) {
    text += "  " + duration_text(p.left()) + " left";
  }
  if (job.worker_count() > 0) {
    text += fmt::format("  {} worker{}", job.worker_count(), job.worker_count() == 1 ? "" : "s");
  }
  return text;
}

int exit_code_of_job(const v1::Job& job) {
  switch (job.state()) {
    case v1::Job::SUCCEEDED:
      return kDone;
    case v1::Job::PAUSED:
      return kRefused;
    default:
      return kJobFailed;
  }
}

}  // namespace

Result<Followed> follow_job(const Globals& globals, client::Client& client, const std::string& name,
                            bool progress) {
  Followed out;
  Progress bar("run", globals.output.quiet);
  std::string last_state;
  const auto seen = [&](const v1::Job& job) {
    out.job = job;
    const std::string state = v1::Job::State_Name(job.state());
    if (state != last_state) {
      last_state = state;
      if (!job_ended(job)) {
        bar.line(short_name(job.name()) + " " + state +
                 (job.state_reason().empty() ? "" : ": " + printable(job.state_reason())));
      }
    }
    if (progress && (job.state() == v1::Job::RUNNING || job.state() == v1::Job::SUCCEEDED)) {
      bar.fraction(job.progress().fraction(), detail_of(job));
    }
    return !job_ended(job) && !paused_for_good(job);
  };
  const auto stopped = [&] { return interrupted() || timed_out(globals); };
  const auto away = [&](const Status& status) {
    bar.line("the coordinator is away (" + printable(status.message) +
             "); trying again for up to " + format_duration(kOutage));
  };
  const Status status = client.watch(name, kOutage, seen, stopped, away);
  if (status.code == Code::kCancelled) {
    out.exit_code = interrupted() ? kInterrupted : kTimeout;
    bar.line(short_name(name) + " goes on; `overwinter jobs watch " + short_name(name) +
             "` follows it, `overwinter jobs cancel " + short_name(name) + "` ends it");
    return out;
  }
  if (!status.ok()) return fail(status);
  out.exit_code = exit_code_of_job(out.job);
  if (out.job.state() == v1::Job::SUCCEEDED && progress) {
    bar.fraction(1.0, detail_of(out.job));
  } else {
    bar.line(short_name(name) + " " + v1::Job::State_Name(out.job.state()) + ": " +
             printable(out.job.state_reason()));
  }
  return out;
}

void print_job(const v1::Job& job) {
  const auto row = [](std::string_view key, const std::string& value) {
    if (!value.empty()) print_line(fmt::format("{:<12} {}", key, value));
  };
  row("job", job.name());
  if (job.display_name() != short_name(job.name())) row("title", printable(job.display_name()));
  row("state", v1::Job::State_Name(job.state()) +
                   (job.state_reason().empty() ? "" : "  " + printable(job.state_reason())));
  row("progress", fmt::format("{:.0f} %  {}", job.progress().fraction() * 100, detail_of(job)));
  row("last sign", no_progress_text(job, Time(system_clock().wall())));
  if (job.progress().checkpoint_step() > 0) {
    row("checkpoint", fmt::format("step {}", job.progress().checkpoint_step()));
  }
  row("attempt", std::to_string(job.attempt()));
  for (const v1::Attempt& attempt : job.attempts()) {
    row("broke off", fmt::format("attempt {} at step {}: {}", attempt.number(), attempt.step(),
                                 printable(attempt.reason())));
  }
  std::string cost = money_text(job.cost().charged());
  if (job.cost().has_cap()) cost += " of " + money_text(job.cost().cap());
  if (job.cost().reserved().amount_micros() > 0) {
    cost += "  (" + amount_text(job.cost().reserved()) + " reserved)";
  }
  row("cost", cost);
  if (job.cost().wasted().amount_micros() > 0)
    row("wasted", money_text(job.cost().wasted()) + " of it, for work that was done again");
  if (job.cost().gang_wait().amount_micros() > 0)
    row("waited", money_text(job.cost().gang_wait()) + " of it, until all its ranks were up");
  const v1::Plan& plan = job.plan();
  row("planned", fmt::format("{} a device, {}, {}", memory_text(plan),
                             duration_text(plan.duration()), money_text(plan.cost())));
  if (plan.has_matmul()) row("product", product_text(plan.matmul()));
  row("training", training_text(plan.train()));
  row("transport", plan.transport());
  row("submitted", time_text(job.create_time()) +
                       (job.submitter().empty() ? "" : " by " + printable(job.submitter())));
  if (job.has_start_time()) row("started", time_text(job.start_time()));
  if (job.has_end_time()) row("ended", time_text(job.end_time()));
  for (const v1::Seat& seat : job.seats()) {
    row("seat",
        fmt::format("{}  device {}, {} of {}, {} threads, {} used", seat.worker(), seat.device(),
                    format_bytes(seat.memory_used_bytes()), format_bytes(seat.memory_bytes()),
                    seat.threads(), duration_text(seat.used())));
  }
}

}  // namespace overwinter::cli
