#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "tests/bench/child.h"
#include "tests/bench/estimate.h"
#include "worker/collective/thread_collective.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"
#include "worker/train/trainer.h"

namespace overwinter::bench {
namespace {

using namespace worker;  // NOLINT(google-build-using-namespace): this file is a worker's

constexpr std::uint64_t kSteps = 1;  // the first holds all that later ones do

// Samples that are made as they are asked for, so that data take no memory.
class MadeUp final : public DataSource {
 public:
  explicit MadeUp(const plan::DataFacts& facts) : facts_(facts) {}
  [[nodiscard]] plan::DataFacts facts() const override { return facts_; }
  [[nodiscard]] std::uint64_t training_samples() const override { return facts_.samples; }
  [[nodiscard]] std::uint64_t validation_samples() const override { return 0; }
  Status training_sample(std::uint64_t sample, const SampleSlot& slot) const override {
    std::uint64_t state = sample + 1;
    const auto next = [&state](std::uint64_t below) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      return (state >> 33U) % below;
    };
    for (std::int32_t& token : slot.tokens) token = static_cast<std::int32_t>(next(kinds()));
    for (std::int32_t& kind : slot.classes) kind = static_cast<std::int32_t>(next(kinds()));
    for (float& value : slot.values) value = static_cast<float>(next(1000)) / 1000;
    for (float& value : slot.targets) value = static_cast<float>(next(1000)) / 1000;
    return Status::success();
  }
  Status validation_sample(std::uint64_t /*index*/, const SampleSlot& /*slot*/) const override {
    return error(Code::kOutOfRange, "there is no validation part");
  }

 private:
  [[nodiscard]] std::uint64_t kinds() const {
    return facts_.text ? facts_.vocabulary : facts_.outputs;
  }
  const plan::DataFacts facts_;
};

struct Problem {
  v1::TrainSpec spec;
  plan::DataFacts data;
};

void gpt(std::uint32_t layers, std::uint32_t heads, std::uint32_t width, std::uint32_t context,
         std::uint64_t vocabulary, Problem& problem) {
  v1::GptSpec& model = *problem.spec.mutable_model()->mutable_gpt();
  model.set_layers(layers);
  model.set_heads(heads);
  model.set_width(width);
  model.set_context(context);
  problem.data = {.samples = 1'000'000, .text = true};
  problem.data.vocabulary = vocabulary;
}

void mlp(std::initializer_list<std::uint32_t> widths, Problem& problem) {
  for (const std::uint32_t width : widths)
    problem.spec.mutable_model()->mutable_mlp()->add_layers(width);
  problem.data = {.samples = 1'000'000,
                  .inputs = *widths.begin(),
                  .outputs = *(widths.end() - 1),
                  .classes = true};
}

using Make = void (*)(Problem&);
const std::map<std::string, Make>& models() {
  static const std::map<std::string, Make> all = {
      {"gpt", [](Problem& p) { gpt(4, 8, 256, 256, 256, p); }},
      {"gpt-wide", [](Problem& p) { gpt(2, 12, 768, 512, 256, p); }},
      {"gpt-narrow", [](Problem& p) { gpt(3, 4, 128, 64, 256, p); }},
      {"gpt-words", [](Problem& p) { gpt(2, 4, 128, 128, 50257, p); }},
      {"gpt2", [](Problem& p) { gpt(12, 12, 768, 256, 50257, p); }},
      {"mlp",
       [](Problem& p) {
         mlp({784, 512, 512, 10}, p);
       }},
      {"mlp-wide",
       [](Problem& p) {
         mlp({1024, 4096, 4096, 16}, p);
       }},
      {"linear",
       [](Problem& p) {
         p.spec.mutable_model()->mutable_linear();
         p.data = {.samples = 1'000'000, .inputs = 2000, .outputs = 100};
       }},
  };
  return all;
}

Problem problem_of(const EstimateCase& of) {
  Problem problem;
  models().at(of.model)(problem);
  v1::TrainSpec& spec = problem.spec;
  spec.set_batch_size(of.batch);
  spec.set_steps(kSteps);
  spec.set_seed(1);
  spec.set_precision(of.precision);
  spec.set_activations(of.recomputed ? "recomputed" : "kept");
  spec.set_accumulate(of.accumulate);
  if (*of.freeze != '\0') spec.add_freeze(of.freeze);
  const std::string optimizer = of.optimizer;
  if (optimizer == "adamw") {
    spec.mutable_optimizer()->mutable_adamw()->set_learning_rate(1e-4);
  } else {
    spec.mutable_optimizer()->mutable_sgd()->set_learning_rate(1e-4);
    spec.mutable_optimizer()->mutable_sgd()->set_momentum(optimizer == "momentum" ? 0.9 : 0);
  }
  return problem;
}

// A line of a file of /proc/self, in bytes.
double line_bytes(const char* file, const std::string& name) {
  std::ifstream status(file);
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) * 1024;
  return 0;
}

// Memory of this process that is of no file: what is of files (libraries, this program) is no part
// of a seat, since code is shared by all of a machine. Page by page: the counters of `status` run
// behind.
double anonymous_bytes() {
  return line_bytes("/proc/self/smaps_rollup", "Anonymous");
}
// What was given back since the highest mark.
double given_back_bytes() {
  const char* const status = "/proc/self/status";
  return std::max(0.0, line_bytes(status, "VmHWM") - line_bytes(status, "VmRSS"));
}

struct Rank {
  Status status = Status::success();
  double predicted = 0;
  double counted = 0;
  double held = 0;  // of the process, while all ranks hold theirs
  bool by_instructions = false;
};

void train(const EstimateCase& of, const Problem& problem, Collective& collective, Rank& rank) {
  HostResource host;
  LimitingResource seat(host, SIZE_MAX / 2, "a seat");
  const MadeUp data(problem.data);
  const auto planned = plan::train_rank(problem.spec, problem.data, of.ranks, of.threads);
  if (!planned) {
    rank.status = planned.error();
    return;
  }
  const plan::TrainMemory memory = plan::train_memory(*planned);
  rank.predicted = static_cast<double>(memory.total_bytes());
  // As worker/gang charges it.
  const auto workspace = seat.charge(memory.workspace_bytes, "the workspace of products");
  auto trainer = Trainer::make(problem.spec, data, collective, seat, of.threads);
  if (!trainer) {
    rank.status = trainer.error();
    return;
  }
  while (!(*trainer)->finished()) {
    if (auto step = (*trainer)->step(); !step) {
      rank.status = step.error();
      return;
    }
  }
  rank.counted = static_cast<double>(seat.peak_bytes());
  rank.by_instructions = planned->precision != plan::TrainPrecision::kFp32 && !(*trainer)->widens();
  // Measured when all have held what they will hold, before one gives it back.
  rank.status = collective.barrier();
  rank.held = anonymous_bytes() + given_back_bytes();
  if (rank.status.ok()) rank.status = collective.barrier();
}

Result<Estimate> measure(const EstimateCase& of) {
  const Problem problem = problem_of(of);
  ThreadGroup group(of.ranks);
  std::vector<Rank> ranks(of.ranks);
  std::vector<std::unique_ptr<Collective>> ends;
  for (std::uint32_t i = 0; i < of.ranks; ++i) ends.push_back(group.end_of(i));
  std::ofstream("/proc/self/clear_refs") << "5";  // the highest mark begins anew
  const double before = anonymous_bytes();
  std::vector<std::thread> threads;
  for (std::uint32_t i = 1; i < of.ranks; ++i)
    threads.emplace_back([&, i] { train(of, problem, *ends[i], ranks[i]); });
  train(of, problem, *ends[0], ranks[0]);
  for (std::thread& thread : threads) thread.join();
  Estimate out;
  out.measured = ranks.front().held - before;
  out.by_instructions = ranks.front().by_instructions;
  for (const Rank& rank : ranks) {
    if (!rank.status.ok()) return fail(rank.status);
    out.predicted += rank.predicted;
    out.counted += rank.counted;
  }
  return out;
}

}  // namespace

bool is_good(const Estimate& estimate) {
  return std::abs(estimate.predicted - estimate.measured) <=
         kEstimateWithin * std::max(estimate.measured, kEstimateMatters);
}

std::string text_of(const Estimate& estimate) {
  constexpr double kMib = 1024.0 * 1024.0;
  return fmt::format("predicted {:.1f} MiB, measured {:.1f} MiB, {:+.1f} %",
                     estimate.predicted / kMib, estimate.measured / kMib, estimate.error() * 100);
}

int estimate_side(const std::string& number) {
  const auto cases = estimate_cases();
  const std::size_t index = std::stoul(number);
  const auto estimate = index < cases.size()
                            ? measure(cases[index])
                            : Result<Estimate>(fail(Code::kInvalidArgument, "no such case"));
  if (!estimate) {
    std::fprintf(stderr, "%s\n", estimate.error().message.c_str());
    return 1;
  }
  std::printf("%.0f %.0f %.0f %d\n", estimate->predicted, estimate->counted, estimate->measured,
              estimate->by_instructions ? 1 : 0);
  return 0;
}

Result<Estimate> run_estimate(const EstimateCase& of) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const auto done =
      run_program({self.string(), "--estimate-side", std::to_string(&of - estimate_cases().data())},
                  {{"OMP_NUM_THREADS", "1"}, {"OPENBLAS_NUM_THREADS", "1"}}, "/dev/stderr");
  if (!done) return fail(done.error());
  Estimate estimate;
  std::istringstream said(done->output);
  if (done->exit_code != 0 || !(said >> estimate.predicted >> estimate.counted >>
                                estimate.measured >> estimate.by_instructions))
    return fail(Code::kInternal, describe(of) + " was not measured");
  return estimate;
}

}  // namespace overwinter::bench
