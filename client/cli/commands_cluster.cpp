// up, down, status, version
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/cli/commands.h"
#include "client/cli/example_prices.h"
#include "client/cli/exit_codes.h"
#include "client/cli/local_cluster.h"
#include "common/base/version.h"
#include "common/security/file_io.h"

namespace overwinter::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kPeoplePort = 7600;
constexpr std::uint16_t kDashboardPort = 7601;
constexpr std::uint16_t kWorkersPort = 7602;
constexpr auto kStartTimeout = std::chrono::seconds(60);
constexpr auto kStopTimeout = std::chrono::seconds(10);
constexpr auto kPoll = std::chrono::milliseconds(50);

std::string loopback(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

Status start_failed(const ClusterFolder& folder, const std::string& name, std::string what) {
  return error(Code::kInternal, std::move(what), "",
               "its log " + folder.log_file(name) + " ends with: " + log_tail(folder, name));
}

bool process_ended(pid_t pid) {
  int status = 0;
  const pid_t reaped = waitpid(pid, &status, WNOHANG);
  return reaped == pid || (reaped < 0 && kill(pid, 0) != 0);
}

void choose_ports(ClusterSettings& settings) {
  settings.people_port = free_port(kPeoplePort);
  settings.dashboard_port = free_port(kDashboardPort);
  settings.workers_port = free_port(kWorkersPort);
}

// The settings to run with: the stored ones, or new ones with ports that are free now.
Result<ClusterSettings> cluster_settings(const ClusterFolder& folder, const UpOptions& options) {
  auto stored = load_settings(folder);
  if (!stored) return fail(stored.error());
  if (stored->has_value()) {
    ClusterSettings settings = **stored;
    const bool same = (options.workers == 0 || options.workers == settings.workers) &&
                      (options.devices.empty() || options.devices == settings.devices);
    if (!same) {
      return fail(Code::kFailedPrecondition,
                  fmt::format("the cluster in {} was made with {} worker{}{}", folder.dir,
                              settings.workers, settings.workers == 1 ? "" : "s",
                              settings.devices.empty() ? "" : " and devices of its own"),
                  "",
                  "`overwinter up` without settings starts it again; `overwinter down --purge` "
                  "removes it; --dir names another folder");
    }
    return settings;
  }
  ClusterSettings settings;
  settings.workers = options.workers == 0 ? 2 : options.workers;
  settings.devices = options.devices;
  choose_ports(settings);
  if (settings.devices.empty()) {
    // The machine's threads and most of its memory, shared out evenly.
    const auto threads = std::max(1U, std::thread::hardware_concurrency() / settings.workers);
    const auto pages = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES));
    const auto bytes = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    const std::uint64_t mebibytes =
        bytes / 10 * 6 / settings.workers / (std::uint64_t{1024} * 1024);
    settings.devices.push_back(fmt::format("cpu:memory={}MiB,threads={}", mebibytes, threads));
  }
  return settings;
}

Status make_folder(const ClusterFolder& folder) {
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(folder.dir).parent_path(), made);
  for (const std::string& path : {folder.dir, folder.dir + "/run", folder.dir + "/log"}) {
    if (Status s = ensure_private_folder(path); !s.ok()) return s;
  }
  return Status::success();
}

client::Context context_of(const ClusterFolder& folder, const ClusterSettings& settings) {
  return {"local", loopback(settings.people_port), folder.ca(), folder.token(),
          "https://" + loopback(settings.dashboard_port)};
}

Status start_coordinator(const Globals& globals, const ClusterFolder& folder,
                         const ClusterSettings& settings) {
  if (running(folder, "coordinator", "overwinter-coordinator")) return Status::success();
  auto program = program_path("overwinter-coordinator");
  if (!program) return program.error();
  say(globals.output, "starting the coordinator on " + loopback(settings.people_port));
  auto pid = start_process(
      folder, "coordinator",
      {*program, "--data-dir", folder.data("coordinator"), "--cluster", "local", "--listen-people",
       loopback(settings.people_port), "--listen-workers", loopback(settings.workers_port),
       "--listen-dashboard", loopback(settings.dashboard_port)});
  if (!pid) return pid.error();
  const auto deadline = Clock::now() + kStartTimeout;
  while (Clock::now() < deadline) {
    if (process_ended(*pid))
      return start_failed(folder, "coordinator", "the coordinator ended at its start");
    auto credentials = client::read_credentials(context_of(folder, settings));
    if (credentials) {
      auto client = client::Client::create(*credentials, Duration(1000));
      if (client && (*client)->status()) return Status::success();
    }
    std::this_thread::sleep_for(kPoll);
  }
  return start_failed(folder, "coordinator", "the coordinator did not answer within 60 s");
}

// At a folder's first start, ports that were free may be somebody else's a moment later (another
// `up`): then others are chosen. Later its ports are known to people, and stay.
Status start_on_free_ports(const Globals& globals, const ClusterFolder& folder, bool first,
                           ClusterSettings& settings) {
  constexpr int kTries = 5;
  for (int tries = 1;; ++tries) {
    Status started = start_coordinator(globals, folder, settings);
    const bool taken = log_tail(folder, "coordinator").find("in use") != std::string::npos;
    if (started.ok() || !first || !taken || tries == kTries) return started;
    choose_ports(settings);
    if (Status s = save_settings(folder, settings); !s.ok()) return s;
  }
}

// The pid of the worker, running already or started now.
Result<pid_t> start_worker(const ClusterFolder& folder, const ClusterSettings& settings,
                           client::Client& client, const std::string& name) {
  if (auto pid = running(folder, name, "overwinter-worker")) return *pid;
  auto program = program_path("overwinter-worker");
  if (!program) return fail(program.error());
  std::vector<std::string> command{*program, "--data-dir", folder.data(name)};
  std::error_code ignored;
  if (!std::filesystem::exists(folder.data(name) + "/settings.json", ignored)) {
    v1::CreateJoinFileRequest request;
    request.set_uses(1);
    request.mutable_ttl()->set_seconds(600);
    request.set_name(name);
    auto join = client.create_join_file(request);
    if (!join) return fail(join.error());
    const std::string file = folder.dir + "/run/" + name + ".join";
    if (const Status s = write_file_atomically(file, join->join_file()); !s.ok()) return fail(s);
    command.insert(command.end(), {"--join", file, "--name", name});
    for (const std::string& device : settings.devices) {
      command.insert(command.end(), {"--device", device});
    }
  }
  return start_process(folder, name, command);
}

// Waits until every worker is READY; a worker that ended meanwhile is named with the end of its
// log.
Status wait_for_workers(const ClusterFolder& folder, const std::map<std::string, pid_t>& workers,
                        client::Client& client) {
  const auto deadline = Clock::now() + kStartTimeout;
  for (;;) {
    auto list = client.list_workers();
    std::uint32_t ready = 0;
    if (list) {
      for (const v1::Worker& worker : list->workers()) {
        if (worker.state() == v1::Worker::READY || worker.state() == v1::Worker::DRAINING) ++ready;
      }
    }
    if (ready >= workers.size()) return Status::success();
    for (const auto& [name, pid] : workers) {
      if (process_ended(pid)) return start_failed(folder, name, name + " ended at its start");
    }
    if (Clock::now() > deadline) {
      return error(Code::kUnavailable,
                   fmt::format("{} of {} workers were ready within 60 s", ready, workers.size()),
                   "", "their logs are in " + folder.dir + "/log");
    }
    std::this_thread::sleep_for(kPoll);
  }
}

Status load_example_prices(const Globals& globals, client::Client& client) {
  auto book = client.prices();
  if (!book) return book.error();
  if (!book->yaml().empty()) return Status::success();
  auto set = client.set_prices(std::string(kExamplePrices));
  if (!set) return set.error();
  say(globals.output,
      "loaded the example price book (a CPU device at 0.36 USD an hour): "
      "`overwinter prices set FILE` replaces it");
  return Status::success();
}

Status write_cluster_json(const ClusterFolder& folder, const ClusterSettings& settings) {
  const client::Context context = context_of(folder, settings);
  const nlohmann::ordered_json json = {{"grpc", context.address},
                                       {"dashboard", context.dashboard},
                                       {"ca", context.ca_file},
                                       {"token_file", context.token_file}};
  return write_file_atomically(folder.cluster_json(), json.dump(2) + "\n");
}

Status bring_up(const Globals& globals, const ClusterFolder& folder, const UpOptions& options) {
  std::error_code unknown;
  const bool first = !std::filesystem::exists(folder.settings(), unknown);
  auto settings = cluster_settings(folder, options);
  if (!settings) return settings.error();
  if (Status s = make_folder(folder); !s.ok()) return s;
  if (Status s = save_settings(folder, *settings); !s.ok()) return s;
  if (Status s = start_on_free_ports(globals, folder, first, *settings); !s.ok()) return s;
  auto credentials = client::read_credentials(context_of(folder, *settings));
  if (!credentials) return credentials.error();
  auto client = client::Client::create(*credentials, Duration(15'000));
  if (!client) return client.error();
  if (Status s = load_example_prices(globals, **client); !s.ok()) return s;
  std::map<std::string, pid_t> workers;
  for (std::uint32_t i = 1; i <= settings->workers; ++i) {
    const std::string name = "worker-" + std::to_string(i);
    auto pid = start_worker(folder, *settings, **client, name);
    if (!pid) return pid.error();
    workers[name] = *pid;
  }
  if (Status s = wait_for_workers(folder, workers, **client); !s.ok()) return s;
  for (std::uint32_t i = 1; i <= settings->workers; ++i) {
    std::error_code ignored;
    std::filesystem::remove(folder.dir + "/run/worker-" + std::to_string(i) + ".join", ignored);
  }
  if (Status s = write_cluster_json(folder, *settings); !s.ok()) return s;
  if (Status s = client::store_context(client::config_path(), context_of(folder, *settings));
      !s.ok()) {
    return s;
  }
  say(globals.output,
      fmt::format("{} worker{} ready; logs in {}/log; `overwinter dashboard` shows it, `overwinter "
                  "down` stops it",
                  settings->workers, settings->workers == 1 ? " is" : "s are", folder.dir));
  return Status::success();
}

// Every program of the folder that runs, workers first.
std::vector<std::pair<std::string, pid_t>> running_programs(const ClusterFolder& folder) {
  std::vector<std::pair<std::string, pid_t>> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder.dir + "/run", ignored)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() != ".pid") continue;
    const std::string program =
        name == "coordinator" ? "overwinter-coordinator" : "overwinter-worker";
    if (auto pid = running(folder, name, program)) out.emplace_back(name, *pid);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first == "coordinator", a.first) <
           std::pair(b.first == "coordinator", b.first);
  });
  return out;
}

// SIGTERM, then SIGKILL for what did not end in time.
void stop(const Globals& globals, const std::vector<std::pair<std::string, pid_t>>& programs) {
  for (const auto& [name, pid] : programs) kill(pid, SIGTERM);
  const auto deadline = Clock::now() + kStopTimeout;
  for (const auto& [name, pid] : programs) {
    while (!process_ended(pid) && Clock::now() < deadline) std::this_thread::sleep_for(kPoll);
    if (process_ended(pid)) {
      say(globals.output, "stopped " + name);
    } else {
      kill(pid, SIGKILL);
      say(globals.output, "killed " + name + ": it did not stop within 10 s");
    }
  }
}

int purge(const Globals& globals, const ClusterFolder& folder) {
  std::error_code error_code;
  if (!std::filesystem::exists(folder.settings(), error_code)) {
    return report(error(Code::kNotFound, folder.dir + " holds no cluster", "dir"));
  }
  // Only what `up` made: a folder named by mistake keeps everything else.
  std::uintmax_t removed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.dir, error_code)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name == "coordinator" || name == "run" || name == "log" ||
                      name == "settings.json" || name == "cluster.json" ||
                      name.rfind("worker-", 0) == 0;
    if (!ours) continue;
    std::error_code failed;
    removed += std::filesystem::remove_all(entry.path(), failed);
    if (failed) {
      return report(error(Code::kInternal,
                          "cannot remove " + entry.path().string() + ": " + failed.message()));
    }
  }
  std::filesystem::remove(folder.dir, error_code);  // when nothing else is in it
  say(globals.output,
      fmt::format("removed the cluster in {}: {} files and folders", folder.dir, removed));
  return kDone;
}

}  // namespace

int run_up(const Globals& globals, const UpOptions& options) {
  const ClusterFolder folder = cluster_folder(options.dir);
  const Status status = bring_up(globals, folder, options);
  if (!status.ok()) return report(status);
  auto text = read_file(folder.cluster_json(), std::size_t{64} * 1024);
  if (!text) return report(text.error());
  if (is_machine(globals.output)) {
    print_line(text->substr(0, text->find_last_not_of('\n') + 1));
    return kDone;
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  print_line("grpc       " + json.value("grpc", std::string()));
  print_line("dashboard  " + json.value("dashboard", std::string()));
  return kDone;
}

int run_down(const Globals& globals, const DownOptions& options) {
  const ClusterFolder folder = cluster_folder(options.dir);
  const auto programs = running_programs(folder);
  stop(globals, programs);
  if (programs.empty()) say(globals.output, "nothing runs in " + folder.dir);
  return options.purge ? purge(globals, folder) : kDone;
}

int run_status(const Globals& globals) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto status = (*client)->status();
  if (!status) return report(status.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *status);
    return kDone;
  }
  print_line(fmt::format("coordinator  {}  version {}, up since {}", status->cluster(),
                         status->version(), time_text(status->started())));
  print_line(fmt::format("workers      {} ready, {} draining, {} lost", status->workers_ready(),
                         status->workers_draining(), status->workers_lost()));
  const std::string for_budget =
      status->jobs_waiting_for_budget() == 0
          ? ""
          : fmt::format(" ({} for budget)", status->jobs_waiting_for_budget());
  print_line(fmt::format("jobs         {} running, {} waiting{}, {} paused", status->jobs_running(),
                         status->jobs_queued(), for_budget, status->jobs_paused()));
  const std::string waste =
      status->has_waste_fraction_month()
          ? fmt::format(", {:.1f} % of jobs' part in vain", status->waste_fraction_month() * 100)
          : "";
  print_line(fmt::format("money        {} today, {} this month{}", money_text(status->cost_today()),
                         money_text(status->cost_month()), waste));
  if (!status->dashboard().empty()) print_line("dashboard    " + status->dashboard());
  if (status->has_restored_time())
    print_line(fmt::format(
        "restored     {}, from a backup of {}: what was done and spent between is unknown",
        time_text(status->restored_time()), time_text(status->backup_time())));
  if (status->disk_full())
    print_line("warning      the coordinator's disk is nearly full: submits are refused");
  return kDone;
}

int run_version(const Globals& globals) {
  if (is_machine(globals.output)) {
    print_line(nlohmann::json({{"client", kVersion}}).dump());
  } else {
    print_line(std::string("overwinter ") + kVersion);
  }
  return kDone;
}

}  // namespace overwinter::cli
