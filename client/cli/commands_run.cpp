// run
#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/follow.h"
#include "client/cli/job_inputs.h"
#include "client/cli/job_logs.h"
#include "client/cli/send_job.h"

namespace overwinter::cli {
namespace {

// A scalar that YAML reads as this text, whatever stands in it: JSON's are.
std::string yaml_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + yaml_text(text);
  return out + "]";
}

// The script's name where there is one ("train" of python3 web/train.py), else the program's.
std::string name_of(const std::vector<std::string>& command) {
  for (const std::string& word : command) {
    const std::filesystem::path path(word);
    if (path.extension() == ".py" || path.extension() == ".sh") return path.stem().string();
  }
  return std::filesystem::path(command.front()).filename().string();
}

Result<std::string> env_text(const std::vector<std::string>& env) {
  std::string out = "{";
  for (const std::string& text : env) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    std::string value;
    if (equals != std::string::npos) {
      value = text.substr(equals + 1);
    } else if (const char* here = std::getenv(name.c_str())) {
      value = here;
    } else {
      return fail(Code::kInvalidArgument, "there is no variable " + name + " here", "--env",
                  "--env " + name + "=VALUE");
    }
    out += (out.size() > 1 ? ", " : " ") + yaml_text(name) + ": " + yaml_text(value);
  }
  return out + " }";
}

}  // namespace

Result<std::string> run_job_text(const RunOptions& options) {
  if (options.command.empty())
    return fail(Code::kInvalidArgument, "run needs a command, behind --", "COMMAND",
                "overwinter run -- python3 train.py");
  auto env = env_text(options.env);
  if (!env) return fail(env.error());
  std::string text;
  const auto line = [&text](int depth, const std::string& key, const std::string& value) {
    if (!value.empty())
      text += std::string(static_cast<std::size_t>(depth), ' ') + key + ": " + value + "\n";
  };
  const auto maybe = [](const std::string& value) {
    return value.empty() ? value : yaml_text(value);
  };
  line(0, "project", maybe(options.project));
  line(0, "name", yaml_text(options.name.empty() ? name_of(options.command) : options.name));
  text += "workload:\n  exec:\n";
  line(4, "command", list_of(options.command));
  line(4, "launcher", maybe(options.launcher));
  line(4, "workdir", yaml_text(options.workdir));
  line(4, "setup", maybe(options.setup));
  if (!options.env.empty()) line(4, "env", *env);
  if (!options.secrets.empty()) line(4, "secrets", list_of(options.secrets));
  line(4, "checkpoint_dir", maybe(options.checkpoint_dir));
  if (!options.outputs.empty()) line(4, "outputs", list_of(options.outputs));
  std::string workers;
  if (options.workers > 0)
    workers = fmt::format("min: {}, max: {}", options.workers, options.workers);
  if (!options.device.empty())
    workers += (workers.empty() ? "" : ", ") + ("device: " + yaml_text(options.device));
  if (!workers.empty()) line(0, "workers", "{ " + workers + " }");
  line(0, "memory_per_device", maybe(options.memory));
  if (!options.cap.empty()) line(0, "budget", "{ cap: " + options.cap + " }");
  return text;
}

int run_run(const Globals& globals, const RunOptions& options) {
  const auto text = run_job_text(options);
  if (!text) return report(text.error());
  std::error_code ignored;
  auto spec = read_job_text(*text, "the command line", std::filesystem::current_path(ignored),
                            options.settings);
  if (!spec) return report(spec.error());
  if (options.print_yaml) {
    std::fputs(text->c_str(), stdout);
    return kDone;
  }
  auto connected = globals.connect();
  if (!connected) return report(connected.error());
  client::Client& client = **connected;
  auto job = send_job(globals, client, std::move(*spec), "");
  if (!job) return report(job.error());
  if (options.detach) {
    if (is_machine(globals.output)) {
      print_message(globals.output, *job);
    } else {
      print_line(job->name());
    }
    return kDone;
  }
  say(globals.output, short_name(job->name()) + " is submitted");
  std::thread lines;
  if (!is_machine(globals.output)) {
    lines = std::thread([&] {
      v1::ReadLogsRequest request;
      request.set_name(job->name());
      request.set_follow(true);
      const Status read = print_logs(globals, client, request, *job);
      if (!read.ok() && read.code != Code::kCancelled)
        say(globals.output, "its output cannot be followed: " + printable(read.message));
    });
  }
  const auto followed = follow_job(globals, client, job->name(), false);
  if (lines.joinable()) lines.join();
  if (!followed) return report(followed.error());
  if (is_machine(globals.output)) print_message(globals.output, followed->job);
  if (followed->exit_code == kDone)
    say(globals.output, fmt::format("{} cost {}", short_name(job->name()),
                                    money_text(followed->job.cost().charged())));
  return followed->exit_code;
}

}  // namespace overwinter::cli
