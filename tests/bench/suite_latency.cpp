// From the call of SubmitJob to the moment at which a worker has the job's unit, by the worker's
// own record, and to what a watcher reads of it: over TLS, on a warm cluster, beside the commits of
// the same disk. Both sides read the machine's one CLOCK_BOOTTIME.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/clock.h"
#include "common/rpc/channel.h"
#include "common/security/random.h"
#include "common/security/tls_credentials.h"
#include "overwinter/v1/job.grpc.pb.h"
#include "tests/bench/cluster.h"
#include "tests/bench/commits.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

using Instant = std::chrono::nanoseconds;  // of the machine's clock since its boot

Instant now() {
  return system_clock().monotonic();
}

constexpr unsigned kWorkers = 2;
constexpr std::size_t kJobs = 200;
constexpr std::size_t kWarmUp = 20;
constexpr std::size_t kCommitsBeforeEach = 5;
constexpr auto kJobWithin = std::chrono::seconds(30);

// One WatchJobs stream of the project, opened before the submits: when each job was first read as
// running, and as ended.
class ProjectWatch {
 public:
  static Result<std::unique_ptr<ProjectWatch>> open(const client::Credentials& credentials) {
    auto channel_credentials = people_client_credentials(credentials.root_pem, {});
    if (!channel_credentials) return fail(channel_credentials.error());
    std::unique_ptr<ProjectWatch> out(new ProjectWatch());
    out->stub_ = v1::JobService::NewStub(make_channel(credentials.address, *channel_credentials));
    out->context_.AddMetadata("authorization", "Bearer " + credentials.token);
    v1::WatchJobsRequest request;
    request.set_parent(std::string("projects/") + kProject);
    out->stream_ = out->stub_->WatchJobs(&out->context_, request);
    out->thread_ = std::thread([it = out.get()] { it->read(); });
    return out;
  }

  ~ProjectWatch() {
    context_.TryCancel();
    if (thread_.joinable()) thread_.join();
  }

  struct Seen {
    std::optional<Instant> running;
    std::optional<Instant> ended;
    bool succeeded = false;
  };

  // What was seen of the job once it has ended.
  Result<Seen> wait_for_end(const std::string& job) {
    std::unique_lock lock(mutex_);
    const bool ended = changed_.wait_for(
        lock, kJobWithin, [&] { return closed_ || interrupted() || seen_[job].ended.has_value(); });
    const Seen seen = seen_[job];
    if (!ended || !seen.succeeded) return fail(Code::kInternal, job + " did not succeed in time");
    return seen;
  }

 private:
  ProjectWatch() = default;

  void read() {
    v1::WatchJobsResponse response;
    while (stream_->Read(&response)) {
      const Instant read_at = now();
      const v1::Job& job = response.job();
      const std::lock_guard lock(mutex_);
      Seen& seen = seen_[job.name()];
      // A job that is over has run: the later moment counts.
      if (job.state() >= v1::Job::RUNNING && !seen.running) seen.running = read_at;
      if (job.state() >= v1::Job::SUCCEEDED && !seen.ended) {
        seen.ended = read_at;
        seen.succeeded = job.state() == v1::Job::SUCCEEDED;
      }
      changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  std::unique_ptr<v1::JobService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchJobsResponse>> stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Seen> seen_;
  bool closed_ = false;
  std::thread thread_;
};

double milliseconds(Instant d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

struct Times {
  std::vector<double> commits;
  std::map<std::string, Instant> submitted;  // by job: when the call began
  std::vector<double> answers;               // SubmitJob returned
  std::vector<double> running;               // read as running
  std::vector<double> ends;                  // read as succeeded
};

// From the workers' records: when each job's first unit was started there.
Result<std::map<std::string, Instant>> first_units(const Cluster& cluster) {
  std::map<std::string, Instant> out;
  for (unsigned worker = 1; worker <= kWorkers; ++worker) {
    const std::string path = cluster.path(fmt::format("cluster/worker-{}/seats.jsonl", worker));
    std::ifstream file(path);
    std::map<std::string, std::string> jobs;  // by seat
    for (std::string line; std::getline(file, line);) {
      const auto record = nlohmann::json::parse(line, nullptr, false);
      if (!record.is_object()) return fail(Code::kInternal, path + " has a line that is not JSON");
      const std::string kind = record.value("record", "");
      const std::string seat = record.value("seat", "");
      if (kind == "began") jobs[seat] = record.value("job", "");
      if (kind != "working") continue;
      const Instant at = std::chrono::microseconds(record.value("monotonic_us", std::int64_t{0}));
      const auto [it, added] = out.try_emplace(jobs[seat], at);
      if (!added) it->second = std::min(it->second, at);
    }
  }
  return out;
}

Result<std::vector<double>> starts_of(const Cluster& cluster, const Times& times) {
  const auto units = first_units(cluster);
  if (!units) return fail(units.error());
  std::vector<double> starts;
  for (const auto& [job, submitted] : times.submitted) {
    const auto it = units->find(job);
    if (it == units->end()) return fail(Code::kInternal, "no worker's record tells of " + job);
    starts.push_back(milliseconds(it->second - submitted));
  }
  return starts;
}

Status submit_one(Cluster& cluster, ProjectWatch& watch, const v1::JobSpec& spec, Times& out) {
  v1::SubmitJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(random_id(20));
  const Instant begin = now();
  const auto job = cluster.client().submit(request);
  const Instant answered = now();
  if (!job) return job.error();
  const auto seen = watch.wait_for_end(job->name());
  if (!seen) return seen.error();
  out.answers.push_back(milliseconds(answered - begin));
  out.submitted[job->name()] = begin;
  out.running.push_back(milliseconds(*seen->running - begin));
  out.ends.push_back(milliseconds(*seen->ended - begin));
  return Status::success();
}

Row row_of(const std::string& name, const std::vector<double>& ours, const Summary& commits) {
  Row row;
  row.name = name;
  row.unit = "ms";
  row.ours = summarize(ours);
  row.peer = commits;
  row.peer_name = "one commit of this disk, in between";
  row.note = fmt::format("beyond the commit: p50 {:+.3f} ms, p99 {:+.3f} ms",
                         row.ours.median - commits.median, row.ours.p99 - commits.p99);
  return row;
}

}  // namespace

Result<SuiteReport> run_latency(const Settings& settings) {
  say("latency: starting a coordinator and two workers");
  auto cluster = Cluster::up(settings, kWorkers, "cpu:memory=512MiB,threads=1");
  if (!cluster) return fail(cluster.error());
  auto commits = TurnCommits::open((*cluster)->path("commits"));
  if (!commits) return fail(commits.error());
  auto watch = ProjectWatch::open((*cluster)->credentials());
  if (!watch) return fail(watch.error());
  const auto spec = one_unit_job(**cluster, "latency");
  if (!spec) return fail(spec.error());
  Times times;
  Times warm_up;
  const std::size_t jobs = settings.runs.value_or(kJobs);
  for (std::size_t i = 0; i < jobs + kWarmUp && !interrupted(); ++i) {
    if (i % 50 == 0) say(fmt::format("latency: job {} of {}", i, jobs + kWarmUp));
    for (std::size_t j = 0; j < kCommitsBeforeEach; ++j) {
      const auto ms = (*commits)->commit(1);
      if (!ms) return fail(ms.error());
      if (i >= kWarmUp) times.commits.push_back(*ms);
    }
    const Status done = submit_one(**cluster, **watch, *spec, i < kWarmUp ? warm_up : times);
    if (!done.ok()) return fail(done);
  }
  const auto starts = starts_of(**cluster, times);
  if (!starts) return fail(starts.error());
  const Summary disk = summarize(times.commits);
  SuiteReport report;
  Row start = row_of("submit to start: the seat is ready and its unit started", *starts, disk);
  start.target = "p50 at most commit p50 + 3 ms, p99 at most commit p99 + 10 ms";
  start.met = start.ours.median <= disk.median + 3 && start.ours.p99 <= disk.p99 + 10;
  report.rows.push_back(start);
  report.rows.push_back(row_of("submit to its answer", times.answers, disk));
  report.rows.push_back(row_of("submit to RUNNING, as a watcher reads it", times.running, disk));
  report.rows.push_back(row_of("submit to the end: read as SUCCEEDED", times.ends, disk));
  return report;
}

}  // namespace overwinter::bench
