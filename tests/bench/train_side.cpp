#include "tests/bench/train_side.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/bench/child.h"
#include "tests/bench/report.h"
#include "worker/collective/single_collective.h"
#include "worker/memory/host_resource.h"
#include "worker/train/trainer.h"

namespace overwinter::bench {
namespace {

using namespace worker;  // NOLINT(google-build-using-namespace): this file is a worker's

constexpr std::uint32_t kThreads = 2;
constexpr std::uint32_t kContext = 256;
constexpr std::size_t kWarmUp = 2;  // steps

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ByteSpan bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Windows one after the other, as ddp_train.py takes them.
class TokenFile final : public DataSource {
 public:
  TokenFile(std::string bytes, std::uint64_t vocabulary)
      : bytes_(std::move(bytes)), vocabulary_(vocabulary) {}
  [[nodiscard]] plan::DataFacts facts() const override {
    plan::DataFacts facts;
    facts.samples = bytes_.size() / sizeof(std::int32_t);
    facts.text = true;
    facts.vocabulary = vocabulary_;
    return facts;
  }
  [[nodiscard]] std::uint64_t training_samples() const override {
    return (facts().samples - 1) / kContext;
  }
  [[nodiscard]] std::uint64_t validation_samples() const override { return 0; }
  Status training_sample(std::uint64_t sample, const SampleSlot& slot) const override {
    const char* from =
        bytes_.data() + sample % training_samples() * kContext * sizeof(std::int32_t);
    std::memcpy(slot.tokens.data(), from, slot.tokens.size_bytes());
    std::memcpy(slot.classes.data(), from + sizeof(std::int32_t), slot.classes.size_bytes());
    return Status::success();
  }
  Status validation_sample(std::uint64_t /*index*/, const SampleSlot& /*slot*/) const override {
    return error(Code::kOutOfRange, "there is no validation part");
  }

 private:
  const std::string bytes_;
  const std::uint64_t vocabulary_;
};

struct Problem {
  v1::TrainSpec spec;
  std::string x, y;
  std::unique_ptr<DataSource> data;
};

Result<std::unique_ptr<Problem>> problem_of(const std::string& model, const std::string& folder) {
  auto out = std::make_unique<Problem>();
  v1::TrainSpec& spec = out->spec;
  const bool rows = model == "mlp";
  const bool large = model == "gpt2";
  spec.set_batch_size(rows ? 512 : large ? 4 : 16);
  spec.set_steps(1'000'000);
  spec.set_seed(1);
  spec.mutable_optimizer()->mutable_adamw()->set_learning_rate(rows ? 1e-3 : 1e-4);
  if (!rows) {
    v1::GptSpec& gpt = *spec.mutable_model()->mutable_gpt();
    gpt.set_layers(large ? 12 : 4);
    gpt.set_width(large ? 768 : 256);
    gpt.set_heads(large ? 12 : 8);
    gpt.set_context(kContext);
    out->data = std::make_unique<TokenFile>(read_file(folder + "/tokens.i32"), large ? 50257 : 256);
    return out;
  }
  for (const std::uint32_t width : {784U, 512U, 512U, 10U})
    spec.mutable_model()->mutable_mlp()->add_layers(width);
  out->x = read_file(folder + "/x.npy");
  out->y = read_file(folder + "/y.npy");
  auto data = make_npy_source(bytes_of(out->x), bytes_of(out->y), 0, std::nullopt);
  if (!data) return fail(data.error());
  out->data = std::move(*data);
  return out;
}

Status load_weights(Trainer& trainer, const std::string& folder) {
  std::vector<TensorView> views = trainer.model();
  std::vector<std::string> files;
  for (const TensorView& view : views)
    files.push_back(read_file(folder + "/" + view.name + ".f32"));
  for (std::size_t i = 0; i < views.size(); ++i) {
    if (files[i].size() != views[i].bytes.size())
      return error(Code::kInvalidArgument, folder + " has no fitting " + views[i].name);
    views[i].bytes = bytes_of(files[i]);
  }
  return trainer.init_from(views);
}

// Nothing but products.
TrainKernels no_kernels() {
  TrainKernels k{};
  k.name = "none";
  k.layer_norm = [](auto...) {};
  k.layer_norm_backward = [](auto...) {};
  k.add_bias = [](auto...) {};
  k.add_bias_residual = [](auto...) {};
  k.residual_norm = [](auto...) {};
  k.bias_gelu = [](auto...) {};
  k.gelu_backward = [](auto...) {};
  k.bias_relu = [](auto...) {};
  k.relu_backward = [](auto...) {};
  k.causal_softmax = [](auto...) {};
  k.causal_probabilities = [](auto...) {};
  k.causal_softmax_backward = [](auto...) {};
  k.small_product = train_kernels(best_kernel_level()).small_product;
  k.transpose = [](auto...) {};
  k.cross_entropy = [](auto...) { return 0.0; };
  k.squared_error = [](auto...) { return 0.0; };
  k.column_sums = [](auto...) {};
  k.embed = [](auto...) {};
  k.embed_backward = [](auto...) {};
  k.sum_of_squares = [](auto...) { return 0.0; };
  k.adamw = [](auto...) {};
  k.sgd = [](auto...) {};
  return k;
}

double milliseconds_of(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

Result<std::vector<double>> products(const Problem& problem, std::size_t steps) {
  HostResource host;
  const auto rank = plan::train_rank(problem.spec, problem.data->facts(), 1, kThreads);
  if (!rank) return fail(rank.error());
  auto arena = Arena::make(host, *rank);
  if (!arena) return fail(arena.error());
  Parameters parameters(*arena, *rank);
  // Weights as they are at the beginning: zeros would be no slower, but infinities would.
  parameters.initialise(rank->shape, 1);
  const TrainKernels none = no_kernels();
  ComputeTeam team(kThreads, none);
  const auto model = make_model(*rank, *arena, parameters, team);
  std::vector<double> times;
  for (std::size_t i = 0; i < steps; ++i) {
    times.push_back(
        milliseconds_of([&] { model->gradients(rank->micro_batch, 1, [](std::size_t) {}); }));
  }
  return times;
}

Result<TrainSide> train(const Problem& problem, const std::string& folder, std::size_t steps) {
  HostResource host;
  SingleCollective single;
  auto trainer = Trainer::make(problem.spec, *problem.data, single, host, kThreads);
  if (!trainer) return fail(trainer.error());
  if (Status s = load_weights(**trainer, folder); !s.ok()) return fail(s);
  TrainSide side;
  std::vector<double> times;
  for (std::size_t i = 0; i < steps; ++i) {
    Result<StepReport> report = fail(Code::kInternal, "no step");
    times.push_back(milliseconds_of([&] { report = (*trainer)->step(); }));
    if (!report) return fail(report.error());
    side.losses.push_back(report->loss);
  }
  times.erase(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(kWarmUp));
  side.step_ms = summarize(times).median;
  return side;
}

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

Result<TrainSide> side_of(const std::vector<std::string>& a) {
  if (a.size() != 5) return fail(Code::kInvalidArgument, "a side of the suite `train`: 5 words");
  auto problem = problem_of(a[0], a[1]);
  if (!problem) return fail(problem.error());
  const std::size_t steps = std::max<std::size_t>(std::stoul(a[2]), kWarmUp + 1);
  (*problem)->spec.set_precision(a[3]);
  if (a[4] == "train") return train(**problem, a[1], steps);
  auto times = products(**problem, steps);
  if (!times) return fail(times.error());
  times->erase(times->begin(), times->begin() + static_cast<std::ptrdiff_t>(kWarmUp));
  TrainSide side;
  side.step_ms = summarize(*times).median;
  return side;
}

Result<TrainSide> run_side(const std::vector<std::string>& command, const std::string& what) {
  const auto done = run_program(command, {{"OMP_NUM_THREADS", "1"}, {"OPENBLAS_NUM_THREADS", "1"}},
                                "/dev/stderr");
  if (!done) return fail(done.error());
  const auto said = nlohmann::json::parse(done->output, nullptr, false);
  if (done->exit_code != 0 || !said.is_object()) return fail(Code::kUnavailable, what);
  return TrainSide{said.value("step_ms", 0.0), said.value("peak_mib", 0.0),
                   said.value("losses", std::vector<double>{})};
}

}  // namespace

int train_side(const std::vector<std::string>& arguments) {
  const auto side = side_of(arguments);
  if (!side) {
    std::fprintf(stderr, "overwinter-bench: %s\n", side.error().message.c_str());
    return 1;
  }
  std::printf(
      "%s\n",
      nlohmann::json{{"step_ms", side->step_ms}, {"peak_mib", peak_mib()}, {"losses", side->losses}}
          .dump()
          .c_str());
  return 0;
}

Result<TrainSide> run_train_side(const std::vector<std::string>& arguments) {
  std::error_code failed;
  std::vector<std::string> command = {
      std::filesystem::read_symlink("/proc/self/exe", failed).string(), "--train-side"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_side(command, "our side of the suite `train` did not run");
}

Result<TrainSide> run_train_peer(const std::string& script,
                                 const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"/usr/bin/python3", script, "run"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_side(command, "PyTorch's side did not run (python3-torch is needed)");
}

}  // namespace overwinter::bench
