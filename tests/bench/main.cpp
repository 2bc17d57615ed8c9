// overwinter-bench SUITE [-o json] [--runs N] [--n N]
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "common/security/process.h"
#include "tests/bench/cluster.h"
#include "tests/bench/estimate.h"
#include "tests/bench/matrices.h"
#include "tests/bench/suites.h"
#include "tests/bench/trace_side.h"
#include "tests/bench/train_side.h"

namespace overwinter::bench {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kInterrupted = 130;

constexpr std::array<Suite, 16> kSuites{{
    {"matmul", "a product on 2 one-thread workers beside one 2-thread OpenBLAS process",
     run_matmul},
    {"latency", "submit to start of a warm one-unit job beside a commit of the same disk",
     run_latency},
    {"units", "units that do nothing, handed out and reported a second over 2 workers", run_units},
    {"idle", "commits, CPU and memory of a coordinator with 2 workers and no job", run_idle},
    {"gemm", "what a worker multiplies by beside OpenBLAS and oneDNN on their own threads",
     run_gemm},
    {"gpu", "products and steps of a GPT on a GPU beside PyTorch on the same one", run_gpu},
    {"strassen", "large fp32 products by Strassen's method beside the best plain sgemm",
     run_strassen},
    {"verify", "sketches and checks of tiles as a share of the product", run_verify},
    {"train", "the training engine, 2 threads of one process, beside PyTorch DDP and its products",
     run_train},
    {"gang", "steps of a small GPT by 2 ranks beside PyTorch DDP, start of a gang, checkpoints",
     run_gang},
    {"exec", "start of a program of the user's, and its memory limit", run_exec},
    {"page", "what open pages cost the coordinator, and a submit while many look", run_page},
    {"memory-estimate", "what trainings are predicted to hold beside what a process held",
     run_memory_estimate},
    {"memory", "the memory pool beside glibc's malloc and jemalloc on a training's trace",
     run_memory},
    {"compress", "casts, pruning and int8 of a weight beside PyTorch and the memory's speed",
     run_compress},
    {"store", "commits of turns beside plain SQLite", run_store},
}};

struct Options {
  std::string suite;
  std::string format = "table";
  Settings settings;
};

std::string list() {
  std::string out = "Suites:\n";
  for (const Suite& suite : kSuites) {
    out += "  " + std::string(suite.name) + std::string(17 - suite.name.size(), ' ') +
           std::string(suite.what) + "\n";
  }
  return out + "  all              every one of them, in this order\n";
}

// The exit code when there is nothing to run.
std::optional<int> parse(int argc, char** argv, Options& out) {
  CLI::App app{"Measures Overwinter beside its peers on this machine."};
  app.name("overwinter-bench");
  app.footer(list() +
             "Examples:\n  overwinter-bench matmul --runs 7\n  overwinter-bench all -o json\n");
  app.add_option("SUITE", out.suite, "which; none lists them");
  app.add_option("-o,--format", out.format, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  app.add_option(
         "--runs", out.settings.runs,
         "runs of each side (latency: jobs, store: commits, idle, page: windows of 30 s or 20 s)")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--n", out.settings.side,
                 "side of square matrices: matmul, gemm, strassen, gpu, verify, compress")
      ->check(CLI::Range(1, 65'536));
  app.add_flag("--large", out.settings.large, "train: GPT-2 with 124 M parameters too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? 0 : kUsage;
  }
  if (out.suite.empty()) {
    std::printf("%s", list().c_str());
    return 0;
  }
  const bool known = out.suite == "all" ||
                     std::any_of(kSuites.begin(), kSuites.end(),
                                 [&](const Suite& suite) { return suite.name == out.suite; });
  if (known) return std::nullopt;
  std::fprintf(stderr, "overwinter-bench: there is no suite %s\n%s", out.suite.c_str(),
               list().c_str());
  return kUsage;
}

int run(const Options& options) {
  const Machine machine = this_machine();
  std::vector<SuiteReport> reports;
  int exit_code = 0;
  for (const Suite& suite : kSuites) {
    if (options.suite != "all" && suite.name != options.suite) continue;
    if (interrupted()) break;
    // What the suite before left to be written (gigabytes of matrices) would stall this one's
    // commits.
    ::sync();
    auto report = suite.run(options.settings);
    if (!report) {
      std::fprintf(stderr, "overwinter-bench: %s: %s\n", std::string(suite.name).c_str(),
                   report.error().message.c_str());
      exit_code = kFailed;
      continue;
    }
    report->suite = suite.name;
    report->what = suite.what;
    reports.push_back(std::move(*report));
  }
  const std::string text =
      options.format == "json" ? as_json(machine, reports) : as_table(machine, reports);
  std::printf("%s", text.c_str());
  return interrupted() ? kInterrupted : exit_code;
}

}  // namespace
}  // namespace overwinter::bench

int main(int argc, char** argv) {
  using namespace overwinter;
  // The peer is a process of its own, so that it shares nothing with what it is measured against.
  if (argc == 4 && std::strcmp(argv[1], "--peer-sgemm") == 0) {
    return bench::run_peer(std::strtoull(argv[2], nullptr, 10), std::atoi(argv[3]));
  }
  if (argc == 5 && std::strcmp(argv[1], "--play-trace") == 0) {
    return bench::play_trace(argv[2], argv[3],
                             static_cast<std::uint32_t>(std::strtoul(argv[4], nullptr, 10)));
  }
  if (argc > 2 && std::strcmp(argv[1], "--train-side") == 0) {
    return bench::train_side({argv + 2, argv + argc});
  }
  if (argc == 3 && std::strcmp(argv[1], "--estimate-side") == 0)
    return bench::estimate_side(argv[2]);
  if (const Status ready = require_tls13(); !ready.ok()) {
    std::fprintf(stderr, "overwinter-bench: %s\n", ready.message.c_str());
    return bench::kUsage;
  }
  bench::watch_for_interrupts();
  bench::Options options;
  if (const auto exit_code = bench::parse(argc, argv, options)) return *exit_code;
  std::error_code failed;
  options.settings.bin =
      std::filesystem::read_symlink("/proc/self/exe", failed).parent_path().string();
  return bench::run(options);
}
