// The training engine in one process of two threads beside PyTorch's DistributedDataParallel over
// gloo, two processes of one: time of a step, peak of memory, losses, and beside its own products.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/bench/cluster.h"
#include "tests/bench/suites.h"
#include "tests/bench/train_side.h"

namespace overwinter::bench {
namespace {

constexpr std::size_t kRuns = 5;
constexpr std::size_t kTextBytes = std::size_t{1} << 20;
constexpr std::size_t kLossSteps = 20;

struct Model {
  const char* name;
  const char* what;
  std::size_t steps;  // of a run
  const char* precision;
  double speed_wanted;
  double memory_wanted;
  double floor_wanted;  // 0: none
  double losses_wanted;
};
constexpr Model kModels[] = {
    {"small", "GPT, 4 layers, width 256, batch 16 x 256 tokens, fp32", 22, "fp32", 1.8, 0.6, 0.85,
     1e-4},
    {"mlp", "MLP 784-512-512-10, batch 2 x 256, fp32", 42, "fp32", 1.5, 0.5, 0, 1e-4},
    {"gpt2", "GPT-2 124 M, batch 4 x 256 tokens, fp32", 5, "fp32", 2.0, 0.7, 0.8, 1e-4},
};

// Words, so that there is something to learn.
Status prepare(const Model& model, const std::string& script, const std::string& folder) {
  std::mt19937 random(7);
  {
    std::ofstream file(folder + "/text", std::ios::binary);
    for (std::size_t written = 0; written < kTextBytes; written += 8)
      file << fmt::format("{:07x} ", random() % 4096 * 65537 % 0xfffffff);
  }
  const auto done =
      run_program({"/usr/bin/python3", script, "prepare", model.name, folder}, {}, "/dev/stderr");
  if (!done) return done.error();
  return done->exit_code == 0 ? Status::success()
                              : error(Code::kUnavailable, "python3-torch is needed");
}

struct Runs {
  std::vector<double> ours, peer, floor;
  double our_mib = 0, peer_mib = 0;
  double losses_apart = 0;
};

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t i = 0; i < std::min({a.size(), b.size(), kLossSteps}); ++i)
    most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

Result<Runs> run_sides(const Model& model, const std::string& script, const std::string& folder,
                       std::size_t runs) {
  Runs out;
  const std::string steps = std::to_string(model.steps);
  for (std::size_t i = 0; i < runs && !interrupted(); ++i) {
    const auto ours = run_train_side({model.name, folder, steps, model.precision, "train"});
    if (!ours) return fail(ours.error());
    const auto peer = run_train_peer(script, {model.name, folder, steps, model.precision});
    if (!peer) return fail(peer.error());
    const auto floor = run_train_side({model.name, folder, steps, model.precision, "products"});
    if (!floor) return fail(floor.error());
    out.losses_apart = std::max(out.losses_apart, apart(ours->losses, peer->losses));
    say(
        fmt::format("train: {} run {}: step {:.1f} ms, PyTorch {:.1f} ms, products {:.1f} ms; "
                    "{:.0f} and {:.0f} MiB; losses {:.6f} apart",
                    model.name, i, ours->step_ms, peer->step_ms, floor->step_ms, ours->peak_mib,
                    peer->peak_mib, out.losses_apart));
    out.ours.push_back(ours->step_ms);
    out.peer.push_back(peer->step_ms);
    out.floor.push_back(floor->step_ms);
    out.our_mib = std::max(out.our_mib, ours->peak_mib);
    out.peer_mib = std::max(out.peer_mib, peer->peak_mib);
  }
  if (out.ours.empty()) return fail(Code::kCancelled, "interrupted");
  return out;
}

void add_rows(const Model& model, const Runs& runs, SuiteReport& report) {
  Row step;
  step.name = fmt::format("a step: {}", model.what);
  step.unit = "ms";
  step.ours = summarize(runs.ours);
  step.peer = summarize(runs.peer);
  step.peer_name = "PyTorch DDP over gloo, 2 processes of 1 thread";
  step.ratio = step.peer->median / step.ours.median;
  step.limit_name = "products alone";
  step.fraction = summarize(runs.floor).median / step.ours.median;
  step.target = fmt::format("at least {} of the peer", model.speed_wanted);
  if (model.floor_wanted > 0)
    step.target += fmt::format("; in bf16 {} of the products", model.floor_wanted);
  step.met = *step.ratio >= model.speed_wanted;
  Row memory;
  memory.name = fmt::format("peak memory: {}", model.what);
  memory.unit = "MiB";
  memory.ours = summarize({runs.our_mib});
  memory.peer = summarize({runs.peer_mib});
  memory.peer_name = "PyTorch DDP, both processes";
  memory.target = fmt::format("at most {} of the peer", model.memory_wanted);
  memory.met = runs.our_mib <= model.memory_wanted * runs.peer_mib;
  memory.note = fmt::format("{:.2f} of the peer", runs.our_mib / runs.peer_mib);
  Row losses;
  losses.name = fmt::format("losses of the first steps apart: {}", model.what);
  losses.ours = summarize({runs.losses_apart});
  losses.target = fmt::format("at most {}", model.losses_wanted);
  losses.met = runs.losses_apart <= model.losses_wanted;
  report.rows.insert(report.rows.end(), {step, memory, losses});
}

}  // namespace

Result<SuiteReport> run_train(const Settings& settings) {
  SuiteReport report;
  const std::string script = (std::filesystem::path(settings.bin) / "ddp_train.py").string();
  for (const Model& model : kModels) {
    if (std::string_view(model.name) == "gpt2" && !settings.large) continue;
    const auto folder = Folder::make();
    if (!folder) return fail(folder.error());
    if (Status s = prepare(model, script, folder->path()); !s.ok()) return fail(s);
    const auto runs = run_sides(model, script, folder->path(), settings.runs.value_or(kRuns));
    if (!runs) return fail(runs.error());
    add_rows(model, *runs, report);
  }
  return report;
}

}  // namespace overwinter::bench
