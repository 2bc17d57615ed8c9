// submit, plan, matmul
#include <fmt/format.h>

#include <filesystem>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/follow.h"
#include "client/cli/job_inputs.h"
#include "client/cli/progress.h"
#include "client/cli/send_job.h"
#include "common/base/bytes.h"
#include "common/base/money.h"
#include "common/spec/spec.h"

namespace overwinter::cli {
namespace {

void print_plan(const v1::Plan& plan) {
  if (plan.has_matmul()) {
    const v1::MatmulPlan& m = plan.matmul();
    print_line("product      " + product_text(m));
    print_line(fmt::format("tiles        {} x {} of {} x {}", m.grid_rows(), m.grid_columns(),
                           m.tile_rows(), m.tile_columns()));
  }
  if (const std::string training = training_text(plan.train()); !training.empty())
    print_line("training     " + training);
  print_line(fmt::format("workers      {} to {}, {} ({})", plan.workers_min(), plan.workers_max(),
                         plan.device(), plan.transport()));
  print_line("memory       " + memory_text(plan) + " peak on each device");
  print_line(fmt::format("moved        {} to workers, {} back",
                         format_bytes(plan.bytes_to_workers()),
                         format_bytes(plan.bytes_from_workers())));
  print_line("time         " + duration_text(plan.duration()));
  print_line("cost         " + money_text(plan.cost()));
  if (!plan.why().empty()) print_line("why          " + printable(plan.why()));
  for (const std::string& warning : plan.warnings())
    print_line("warning      " + printable(warning));
}

int finish(const Globals& globals, const Followed& followed) {
  if (is_machine(globals.output)) {
    print_message(globals.output, followed.job);
  } else if (followed.exit_code != kInterrupted && followed.exit_code != kTimeout) {
    print_job(followed.job);
  }
  return followed.exit_code;
}

// Downloads C and prints where it is and what it cost.
int deliver(const Globals& globals, client::Client& client, const v1::Job& job,
            const std::string& output) {
  Progress bar("download", globals.output.quiet);
  const Status status = client.download_result(
      job.name(), output, [&](std::uint64_t done, std::uint64_t total) { bar.bytes(done, total); });
  if (!status.ok()) return report(status);
  say(globals.output,
      fmt::format("{} cost {}", short_name(job.name()), money_text(job.cost().charged())));
  return kDone;
}

Result<v1::JobSpec> matmul_spec(const MatmulOptions& options) {
  v1::JobSpec spec;
  spec.set_project(options.project);
  spec.set_name(options.name);
  v1::MatmulSpec& matmul = *spec.mutable_matmul();
  matmul.set_a(options.a);
  matmul.set_b(options.b);
  matmul.set_algorithm(options.algorithm);
  matmul.set_tolerance(options.tolerance);
  matmul.set_precision(options.precision);
  spec.set_transport(options.transport);
  spec.mutable_workers()->set_max(options.workers);
  if (!options.cap.empty()) {
    auto cap = parse_money(options.cap);
    if (!cap) return fail(Code::kInvalidArgument, cap.error().message, "--cap");
    spec.mutable_budget()->mutable_cap()->set_amount_micros(cap->micros);
  }
  for (const std::string& setting : options.settings) {
    if (const Status s = spec::apply_setting(spec, setting); !s.ok()) return fail(s);
  }
  return spec;
}

}  // namespace

int run_submit(const Globals& globals, const SubmitOptions& options) {
  auto spec = read_job_file(options.file, options.settings);
  if (!spec) return report(spec.error());
  if (auto shapes = read_shapes(*spec); !shapes) return report(shapes.error());
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto job = send_job(globals, **client, std::move(*spec), options.request_id);
  if (!job) return report(job.error());
  if (!options.waiting.wait && !options.waiting.follow) {
    if (is_machine(globals.output)) {
      print_message(globals.output, *job);
    } else {
      print_line(job->name());
      say(globals.output, "`overwinter jobs watch " + short_name(job->name()) + "` follows it");
    }
    return kDone;
  }
  auto followed = follow_job(globals, **client, job->name(), options.waiting.follow);
  if (!followed) return report(followed.error());
  return finish(globals, *followed);
}

int run_plan(const Globals& globals, const PlanOptions& options) {
  auto spec = read_job_file(options.file, options.settings);
  if (!spec) return report(spec.error());
  // Unreadable inputs are told without a coordinator too.
  if (auto shapes = read_shapes(*spec); !shapes) return report(shapes.error());
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto answer = plan_job(**client, *spec);
  if (!answer) return report(answer.error());
  const int code = answer->has_plan() ? kDone : kRefused;
  if (is_machine(globals.output)) {
    print_message(globals.output, *answer);
    return code;
  }
  if (answer->has_plan()) {
    print_plan(answer->plan());
  } else {
    print_line("nothing fits: " + printable(answer->reason()));
  }
  for (const v1::RuledOut& out : answer->ruled_out()) {
    print_line("ruled out    " + printable(out.what()) + ": " + printable(out.why()));
  }
  return code;
}

int run_matmul(const Globals& globals, const MatmulOptions& options) {
  std::error_code ignored;
  const auto folder = std::filesystem::absolute(options.output, ignored).parent_path();
  if (!std::filesystem::is_directory(folder, ignored)) {
    return report(error(Code::kInvalidArgument, "there is no folder " + folder.string(), "-o"));
  }
  auto spec = matmul_spec(options);
  if (!spec) return report(spec.error());
  if (auto shapes = read_shapes(*spec); !shapes) return report(shapes.error());
  auto connected = globals.connect();
  if (!connected) return report(connected.error());
  client::Client& client = **connected;
  auto job = send_job(globals, client, std::move(*spec), "");
  if (!job) return report(job.error());
  auto followed = follow_job(globals, client, job->name(), true);
  if (!followed) return report(followed.error());
  if (followed->exit_code == kDone) {
    const int delivered = deliver(globals, client, followed->job, options.output);
    if (delivered != kDone) return delivered;
  }
  if (is_machine(globals.output)) {
    print_message(globals.output, followed->job);
  } else if (followed->exit_code == kDone) {
    print_line(options.output);
  }
  return followed->exit_code;
}

}  // namespace overwinter::cli
