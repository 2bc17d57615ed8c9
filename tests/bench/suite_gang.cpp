// A training by two ranks on this machine beside PyTorch's DistributedDataParallel over gloo: time
// of a step, start of the gang, what a checkpoint costs.
#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/bench/cluster.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::size_t kRuns = 5;
constexpr unsigned kRanks = 2;
constexpr const char* kDevice = "cpu:memory=1GiB,threads=1";
constexpr std::uint64_t kSteps = 24;
constexpr std::uint64_t kWindow = 50;  // steps
constexpr std::size_t kTextBytes = std::size_t{1} << 20;
constexpr double kStartWanted = 1.5;
constexpr double kStallWanted = 0.05;

// Four layers of width 256, 8 heads, context 256, batch 8 a rank; PyTorch's is the same (small) in
// ddp_train.py.
v1::JobSpec small_gpt(const std::string& text, std::uint64_t steps, std::uint64_t every) {
  v1::JobSpec spec;
  spec.set_project(kProject);
  spec.set_name("train");
  spec.set_transport("gang");
  spec.mutable_workers()->set_min(kRanks);
  spec.mutable_workers()->set_max(kRanks);
  spec.mutable_checkpoint()->set_every_steps(every);
  v1::TrainSpec& train = *spec.mutable_train();
  v1::GptSpec& gpt = *train.mutable_model()->mutable_gpt();
  gpt.set_layers(4);
  gpt.set_width(256);
  gpt.set_heads(8);
  gpt.set_context(256);
  train.mutable_data()->add_text(text);
  train.mutable_optimizer()->mutable_adamw()->set_learning_rate(1e-4);
  train.set_batch_size(8 * kRanks);
  train.set_steps(steps);
  train.set_seed(1);
  return spec;
}

// Words, so that there is something to learn.
Status write_text(const std::string& path) {
  std::mt19937 random(7);
  std::ofstream file(path, std::ios::binary);
  for (std::size_t written = 0; written < kTextBytes; written += 8)
    file << fmt::format("{:07x} ", random() % 4096 * 65537 % 0xfffffff);
  file.close();
  return file ? Status::success() : error(Code::kInternal, "cannot write " + path);
}

// Seconds a step, of the median of those that a rank told of.
Result<double> step_seconds(Cluster& cluster, const v1::Job& job) {
  v1::ReadCurveRequest request;
  request.set_name(job.name());
  request.set_metric("samples_per_second");
  const auto curve = cluster.client().read_curve(request);
  if (!curve) return fail(curve.error());
  std::vector<double> steps;
  for (const v1::CurvePoint& value : curve->points())
    if (value.value() > 0) steps.push_back(8.0 * kRanks / value.value());
  if (steps.size() < 4) return fail(Code::kInternal, "the job told of too few steps");
  steps.erase(steps.begin(), steps.begin() + 2);
  return summarize(steps).median;
}

// From the grant of its first seat to its first step, by the workers' own records.
Result<double> start_seconds(const Cluster& cluster, const std::string& job) {
  std::optional<double> granted;
  std::optional<double> stepped;
  for (unsigned worker = 1; worker <= kRanks; ++worker) {
    std::ifstream file(cluster.path(fmt::format("cluster/worker-{}/seats.jsonl", worker)));
    std::map<std::string, std::string> jobs;  // by seat
    for (std::string line; std::getline(file, line);) {
      const auto record = nlohmann::json::parse(line, nullptr, false);
      if (!record.is_object()) continue;
      const std::string kind = record.value("record", "");
      const std::string seat = record.value("seat", "");
      if (kind == "began") jobs[seat] = record.value("job", "");
      if (jobs[seat] != job) continue;
      const double at = record.value("monotonic_us", 0.0) / 1e6;
      if (kind == "began") granted = std::min(granted.value_or(at), at);
      if (kind == "stepped") stepped = std::max(stepped.value_or(at), at);
    }
  }
  if (!granted || !stepped) return fail(Code::kInternal, "no worker's record tells of " + job);
  return *stepped - *granted;
}

// `folder` has the text; the peer's data and weights come to lie there.
Result<double> peer_step_seconds(const Cluster& cluster, const std::string& folder,
                                 const std::string& script) {
  const auto ready = run_program({"/usr/bin/python3", script, "prepare", "small", folder}, {},
                                 cluster.path("peer.log"));
  if (!ready) return fail(ready.error());
  const auto done = run_program(
      {"/usr/bin/python3", script, "run", "small", folder, std::to_string(kSteps), "fp32"}, {},
      cluster.path("peer.log"));
  if (!done) return fail(done.error());
  const auto said = nlohmann::json::parse(done->output, nullptr, false);
  if (done->exit_code != 0 || !said.is_object())
    return fail(Code::kUnavailable, "PyTorch's side did not run (python3-torch is needed)");
  return said.value("step_ms", 0.0) / 1000;
}

struct Times {
  std::vector<double> steps;
  std::vector<double> peer;
  std::vector<double> starts;
  std::vector<double> stalls;  // of a checkpoint, as a share of the time between two
};

// When each step was over, as its rank told.
Result<std::map<std::uint64_t, double>> step_times(Cluster& cluster, const v1::Job& job) {
  v1::ReadCurveRequest request;
  request.set_name(job.name());
  request.set_metric("loss");
  request.set_points_max(5000);
  const auto curve = cluster.client().read_curve(request);
  if (!curve) return fail(curve.error());
  std::map<std::uint64_t, double> out;
  for (const v1::CurvePoint& value : curve->points())
    out[value.step()] = static_cast<double>(TimeUtil::TimestampToMilliseconds(value.time())) / 1000;
  return out;
}

// A checkpoint each 100 steps: what the 50 steps after one took more than the 50 before, as a share
// of these. Neighbours in one job, so that a machine that slows down moves both.
Result<std::vector<double>> stalls(Cluster& cluster, const std::string& text) {
  constexpr std::uint64_t kCheckpoints = 3;
  constexpr std::uint64_t kEvery = 2 * kWindow;
  const auto job = cluster.run_job(small_gpt(text, kCheckpoints * kEvery + kWindow + 1, kEvery));
  if (!job) return fail(job.error());
  const auto times = step_times(cluster, *job);
  if (!times) return fail(times.error());
  std::vector<double> out;
  for (std::uint64_t at = kEvery; at <= kCheckpoints * kEvery; at += kEvery) {
    for (const std::uint64_t step : {at - kWindow, at, at + kWindow})
      if (!times->contains(step))
        return fail(Code::kInternal, fmt::format("the job did not tell of step {}", step));
    const double before = times->at(at) - times->at(at - kWindow);
    out.push_back((times->at(at + kWindow) - times->at(at)) / before - 1);
  }
  return out;
}

Result<Times> measure(Cluster& cluster, const std::string& folder, const std::string& script,
                      std::size_t runs) {
  const std::string text_file = folder + "/text";
  auto uri = cluster.client().upload(kProject, text_file, {});
  if (!uri) return fail(uri.error());
  Times out;
  for (std::size_t i = 0; i <= runs && !interrupted(); ++i) {
    const auto job = cluster.run_job(small_gpt(*uri, kSteps, 1000));
    if (!job) return fail(job.error());
    const auto ours = step_seconds(cluster, *job);
    if (!ours) return fail(ours.error());
    const auto start = start_seconds(cluster, job->name());
    if (!start) return fail(start.error());
    const auto peer = peer_step_seconds(cluster, folder, script);
    if (!peer) return fail(peer.error());
    const auto shares = stalls(cluster, *uri);
    if (!shares) return fail(shares.error());
    say(fmt::format("gang: run {}: step {:.3f} s, PyTorch {:.3f} s, start {:.2f} s, stalls {:.3f}",
                    i, *ours, *peer, *start, fmt::join(*shares, " ")));
    if (i == 0) continue;
    out.steps.push_back(*ours);
    out.peer.push_back(*peer);
    out.starts.push_back(*start);
    for (const double share : *shares) out.stalls.push_back(100 * share);
  }
  if (out.peer.empty()) return fail(Code::kCancelled, "interrupted");
  return out;
}

}  // namespace

Result<SuiteReport> run_gang(const Settings& settings) {
  SuiteReport report;
  report.suite = "gang";
  report.what =
      "GPT of 4 layers, width 256, 8 heads, context 256, batch 8 a rank, fp32, 2 ranks of 1 thread";
  const std::string script = (std::filesystem::path(settings.bin) / "ddp_train.py").string();
  auto cluster = Cluster::up(settings, kRanks, kDevice);
  if (!cluster) return fail(cluster.error());
  const std::string folder = (*cluster)->path("peer");
  std::filesystem::create_directory(folder);
  if (Status done = write_text(folder + "/text"); !done.ok()) return fail(done);
  const auto times = measure(**cluster, folder, script, settings.runs.value_or(kRuns));
  if (!times) return fail(times.error());
  Row step;
  step.name = "a step";
  step.unit = "s";
  step.ours = summarize(times->steps);
  step.peer = summarize(times->peer);
  step.peer_name = "PyTorch DDP over gloo, 2 processes of 1 thread";
  step.ratio = step.peer->median / step.ours.median;
  step.target = "at least 1.0 of the peer";
  step.met = *step.ratio >= 1;
  Row start;
  start.name = "seats granted to first step";
  start.unit = "s";
  start.ours = summarize(times->starts);
  start.target = fmt::format("at most {} s", kStartWanted);
  start.met = start.ours.median <= kStartWanted;
  Row pause;
  pause.name = "a checkpoint, of the time between two 50 steps apart";
  pause.unit = "%";
  pause.ours = summarize(times->stalls);
  pause.target = fmt::format("at most {:.0f} %", 100 * kStallWanted);
  pause.met = pause.ours.median <= 100 * kStallWanted;
  report.rows = {step, start, pause};
  return report;
}

}  // namespace overwinter::bench
