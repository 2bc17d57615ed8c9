#include "tests/bench/cluster.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/security/file_io.h"
#include "common/security/random.h"
#include "tests/bench/matrices.h"

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStartWithin = std::chrono::seconds(60);
constexpr auto kPoll = std::chrono::milliseconds(20);
constexpr Duration kCallWithin{30'000};
constexpr std::size_t kSmallFile = 64 * 1024;
constexpr std::uint64_t kOneTile = 32;  // side of matrices whose product is one unit

std::atomic<bool> g_interrupted{false};

Result<nlohmann::json> read_json(const std::string& path) {
  auto text = read_file(path, kSmallFile);
  if (!text) return fail(text.error());
  auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return fail(Code::kDataLoss, path + " is not JSON");
  return json;
}

// Polls until it holds or the time is up.
template <class Condition>
bool wait_until(Condition holds) {
  const auto deadline = Clock::now() + kStartWithin;
  while (!holds()) {
    if (Clock::now() > deadline || interrupted()) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

}  // namespace

bool interrupted() {
  return g_interrupted;
}

void watch_for_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupted = true; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

Result<Folder> Folder::make() {
  // Beside other temporary files, and short: a Unix socket's path has 107 bytes.
  const char* base = std::getenv("TMPDIR");
  std::string path =
      std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/ow-bench-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return fail(Code::kInternal, "cannot make a temporary folder " + path);
  }
  return Folder(path);
}

Folder::~Folder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Cluster::Cluster(Settings settings, Folder folder)
    : settings_(std::move(settings)), folder_(std::move(folder)) {
  environment_ = {{"HOME", home()}, {"XDG_CONFIG_HOME", home() + "/config"}};
}

Cluster::~Cluster() {
  client_.reset();
  if (with_command_) {
    const auto done = command({"down", "--dir", path("cluster")});
    if (!done || done->exit_code != 0) say("overwinter down failed: " + log_end("command.log"));
  }
  while (!running_.empty()) running_.pop_back();  // workers first
}

std::string Cluster::coordinator_folder() const {
  return path(with_command_ ? "cluster/coordinator" : "coordinator");
}

Result<std::string> Cluster::dashboard() const {
  const auto ports = read_json(coordinator_folder() + "/run/endpoints.json");
  if (!ports) return fail(ports.error());
  std::string at = ports->value("dashboard", std::string());
  if (at.empty()) return fail(Code::kInternal, "the coordinator has no port for the page");
  return at;
}

std::string Cluster::log_end(const std::string& file) const {
  std::ifstream in(path(file));
  std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return all.size() > 1500 ? all.substr(all.size() - 1500) : all;
}

Result<Finished> Cluster::command(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all{settings_.bin + "/overwinter"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_program(all, environment_, path("command.log"));
}

Status Cluster::connect(const client::Context& context) {
  auto credentials = client::read_credentials(context);
  if (!credentials) return credentials.error();
  auto client = client::Client::create(*credentials, kCallWithin);
  if (!client) return client.error();
  credentials_ = *credentials;
  client_ = std::move(*client);
  return Status::success();
}

Result<std::unique_ptr<Cluster>> Cluster::up(const Settings& settings, unsigned workers,
                                             const std::string& device) {
  auto folder = Folder::make();
  if (!folder) return fail(folder.error());
  std::unique_ptr<Cluster> it(new Cluster(settings, std::move(*folder)));
  it->with_command_ = true;
  const auto up = it->command({"up", "--workers", std::to_string(workers), "--dir",
                               it->path("cluster"), "--device", device});
  if (!up) return fail(up.error());
  if (up->exit_code != 0) {
    return fail(Code::kInternal, "overwinter up failed: " + it->log_end("command.log"));
  }
  const auto json = read_json(it->path("cluster/cluster.json"));
  if (!json) return fail(json.error());
  client::Context context;
  context.address = json->value("grpc", std::string());
  context.ca_file = json->value("ca", std::string());
  context.token_file = json->value("token_file", std::string());
  if (Status connected = it->connect(context); !connected.ok()) return fail(connected);
  return it;
}

Result<std::unique_ptr<Cluster>> Cluster::up_for_test_workloads(const Settings& settings,
                                                                unsigned workers,
                                                                const std::string& device,
                                                                unsigned units_per_second) {
  auto folder = Folder::make();
  if (!folder) return fail(folder.error());
  std::unique_ptr<Cluster> it(new Cluster(settings, std::move(*folder)));
  const std::string data = it->path("coordinator");
  auto coordinator =
      Running::start({settings.bin + "/" + kTestCoordinator, "--data-dir", data,
                      "--allow-test-workloads", "--listen-people", "127.0.0.1:0",
                      "--listen-workers", "127.0.0.1:0", "--listen-dashboard", "127.0.0.1:0"},
                     it->environment_, it->path("coordinator.log"));
  if (!coordinator) return fail(coordinator.error());
  it->running_.push_back(std::move(*coordinator));
  client::Context context;
  context.ca_file = data + "/ca/root.pem";
  context.token_file = data + "/admin.token";
  const bool ready = wait_until([&] {
    const auto ports = read_json(data + "/run/endpoints.json");
    if (!ports) return false;
    context.address = ports->value("people", std::string());
    return it->connect(context).ok() && it->client_->status().has_value();
  });
  if (!ready) {
    return fail(Code::kUnavailable,
                "the coordinator did not start: " + it->log_end("coordinator.log"));
  }
  for (unsigned i = 1; i <= workers; ++i) {
    if (Status started = it->start_worker(i, device, units_per_second); !started.ok())
      return fail(started);
  }
  if (Status all = it->wait_for_workers(workers); !all.ok()) return fail(all);
  return it;
}

Status Cluster::start_worker(unsigned number, const std::string& device,
                             unsigned units_per_second) {
  const std::string name = fmt::format("worker-{}", number);
  v1::CreateJoinFileRequest request;
  request.set_uses(1);
  request.mutable_ttl()->set_seconds(600);
  request.set_name(name);
  const auto join = client_->create_join_file(request);
  if (!join) return join.error();
  const std::string file = path(name + ".join");
  if (Status written = write_file_atomically(file, join->join_file()); !written.ok()) {
    return written;
  }
  std::vector<std::string> words{"--data-dir", path(name), "--join",   file,
                                 "--name",     name,       "--device", device};
  if (units_per_second > 0) {
    words.insert(words.end(), {"--test-units-per-second", std::to_string(units_per_second)});
  }
  words.insert(words.begin(),
               settings_.bin + "/" + (units_per_second > 0 ? kTestWorker : "overwinter-worker"));
  auto worker = Running::start(words, environment_, path(name + ".log"));
  if (!worker) return worker.error();
  running_.push_back(std::move(*worker));
  return Status::success();
}

Status Cluster::wait_for_workers(unsigned workers) {
  const bool ready = wait_until([&] {
    const auto list = client_->list_workers();
    if (!list) return false;
    unsigned count = 0;
    for (const v1::Worker& worker : list->workers()) {
      if (worker.state() == v1::Worker::READY) ++count;
    }
    return count >= workers;
  });
  if (ready) return Status::success();
  return error(Code::kUnavailable,
               "the workers were not ready in time: " + log_end("worker-1.log"));
}

Result<pid_t> Cluster::pid(const std::string& program) const {
  if (!with_command_) {
    const std::size_t at =
        program == "coordinator" ? 0 : static_cast<std::size_t>(std::atoi(&program.back()));
    if (at >= running_.size()) return fail(Code::kNotFound, "no " + program);
    return running_[at].pid();
  }
  const auto text = read_file(path("cluster/run/" + program + ".pid"), 64);
  if (!text) return fail(text.error());
  return static_cast<pid_t>(std::atol(text->c_str()));
}

Status Cluster::share_descriptors(bool on) {
  const std::string socket = coordinator_folder() + "/run/descriptors.sock";
  const std::string away = socket + ".away";
  std::error_code failed;
  if (std::filesystem::exists(on ? away : socket, failed)) {
    std::filesystem::rename(on ? away : socket, on ? socket : away, failed);
  }
  if (!failed && std::filesystem::exists(on ? socket : away)) return Status::success();
  return error(Code::kInternal, "the coordinator's descriptor socket is not at " + socket);
}

Result<v1::Job> Cluster::run_job(const v1::JobSpec& spec) {
  v1::SubmitJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(random_id(20));
  const auto job = client_->submit(request);
  if (!job) return fail(job.error());
  v1::Job last = *job;
  const Status watched = client_->watch(
      job->name(), Duration(5000),
      [&](const v1::Job& seen) {
        last = seen;
        return seen.state() < v1::Job::SUCCEEDED && seen.state() != v1::Job::PAUSED;
      },
      interrupted, [](const Status& why) { say(why.message); });
  if (!watched.ok()) return fail(watched);
  if (last.state() != v1::Job::SUCCEEDED) {
    return fail(Code::kInternal, "the job " + last.name() + " ended as " +
                                     v1::Job::State_Name(last.state()) + ": " +
                                     last.state_reason());
  }
  return last;
}

Result<v1::JobSpec> one_unit_job(Cluster& cluster, const std::string& job) {
  v1::JobSpec spec;
  spec.set_project(kProject);
  spec.set_name(job);
  spec.mutable_workers()->set_max(1);
  for (const char* name : {"a.npy", "b.npy"}) {
    const std::string path = cluster.path(name);
    if (Status done = write_matrix(path, kOneTile, name[0]); !done.ok()) return fail(done);
    auto uri = cluster.client().upload(kProject, path, {});
    if (!uri) return fail(uri.error());
    (name[0] == 'a' ? spec.mutable_matmul()->mutable_a() : spec.mutable_matmul()->mutable_b())
        ->assign(*uri);
  }
  return spec;
}

}  // namespace overwinter::bench
