// A GPU: products in bf16 and steps of a GPT, beside PyTorch on the same one.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "common/base/narrow.h"
#include "tests/bench/child.h"
#include "tests/bench/cluster.h"
#include "tests/bench/suites.h"
#include "worker/cuda/device_gpt.h"
#include "worker/cuda/device_resource.h"
#include "worker/cuda/open_gpu.h"

namespace overwinter::bench {
namespace {

namespace cuda = worker::cuda;

constexpr std::size_t kRuns = 5;
constexpr std::uint64_t kSide = 8192;
// As gpu_peer.py.
constexpr int kWarmUp = 3;
constexpr int kProducts = 20;
constexpr int kSteps = 5;
// GPT-2's smallest, over bytes.
constexpr cuda::GptShape kGpt{
    .layers = 12, .heads = 12, .width = 768, .context = 1024, .vocabulary = 256, .batch = 8};

// `amount` a second of work(), which is asked for `repeats` times and waited for once.
Result<double> rate_of(cuda::Accelerator& gpu, const std::function<Status()>& work, int repeats,
                       double amount) {
  for (int i = 0; i < kWarmUp; ++i)
    if (Status done = work(); !done.ok()) return fail(done);
  if (Status done = gpu.wait(); !done.ok()) return fail(done);
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i)
    if (Status done = work(); !done.ok()) return fail(done);
  if (Status done = gpu.wait(); !done.ok()) return fail(done);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  return amount * repeats / took.count();
}

class GpuBench {
 public:
  GpuBench(cuda::Accelerator& gpu, const Settings& settings)
      : gpu_(gpu),
        memory_(gpu.memory(), gpu.memory_bytes() / 10 * 9, "the GPU"),
        runs_(settings.runs.value_or(kRuns)),
        script_((std::filesystem::path(settings.bin) / "gpu_peer.py").string()) {}

  Result<Row> gemm(std::uint64_t side) {
    auto gemm = gpu_.make_gemm(memory_.memory(), {});
    if (!gemm) return fail(gemm.error());
    const std::size_t n = side * side;
    auto a = uploaded(n, 1);
    auto b = uploaded(n, 2);
    auto c = worker::Buffer::make(memory_.memory(), n * sizeof(float));
    if (!a) return fail(a.error());
    if (!b) return fail(b.error());
    if (!c) return fail(c.error());
    const worker::Gemm<BFloat16> p{.m = side,
                                   .n = side,
                                   .k = side,
                                   .a = a->as<BFloat16>(),
                                   .lda = side,
                                   .b = b->as<BFloat16>(),
                                   .ldb = side,
                                   .c = c->as<float>(),
                                   .ldc = side};
    const double amount = 2.0 * static_cast<double>(side) * static_cast<double>(n) / 1e12;
    return compare(fmt::format("bf16 {0}x{0}x{0}", side), "TFLOP/s",
                   [&] {
                     return rate_of(
                         gpu_, [&] { return (*gemm)->gemm(p); }, kProducts, amount);
                   },
                   {"gemm", fmt::format("{}", side)});
  }

  Result<Row> gpt() {
    auto gpt = cuda::DeviceGpt::make(gpu_, memory_.memory(), kGpt, true);
    if (!gpt) return fail(gpt.error());
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02F);
    std::vector<float> weights(kGpt.parameters());
    for (float& w : weights) w = normal(random);
    if (Status set = (*gpt)->set_weights(weights); !set.ok()) return fail(set);
    std::vector<std::int32_t> tokens(kGpt.rows());
    for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(random() % 256);
    worker::AdamwStep adamw;
    adamw.learning_rate = 1e-4F;
    adamw.correction1 = 0.1F;
    adamw.correction2 = 0.001F;
    const auto step = [&] {
      const auto loss = (*gpt)->gradients_of(tokens, tokens);
      return loss ? (*gpt)->adamw(adamw) : loss.error();
    };
    const auto s = [](std::size_t v) { return fmt::format("{}", v); };
    return compare(
        fmt::format("GPT of {} layers, width {}, context {}, batch {}, TF32", kGpt.layers,
                    kGpt.width, kGpt.context, kGpt.batch),
        "tokens/s", [&] { return rate_of(gpu_, step, kSteps, static_cast<double>(kGpt.rows())); },
        {"gpt", s(kGpt.layers), s(kGpt.width), s(kGpt.heads), s(kGpt.context), s(kGpt.batch)});
  }

 private:
  Result<worker::Buffer> uploaded(std::size_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 1);
    std::vector<BFloat16> values(n);
    for (BFloat16& v : values) v = to_bfloat16(normal(random));
    auto buffer = worker::Buffer::make(memory_.memory(), n * sizeof(BFloat16), 256);
    if (!buffer) return buffer;
    if (Status up =
            gpu_.upload(cuda::bytes_copy(buffer->data(), values.data(), n * sizeof(BFloat16)));
        !up.ok()) {
      return fail(up);
    }
    return buffer;
  }

  // PyTorch's rate; nothing where it has no GPU.
  std::optional<double> peer(const std::vector<std::string>& words) {
    std::vector<std::string> command{"python3", script_};
    command.insert(command.end(), words.begin(), words.end());
    const auto ran = run_program(command, {}, "");
    if (!ran || ran->exit_code != 0) return std::nullopt;
    const auto said = nlohmann::json::parse(ran->output, nullptr, false);
    if (!said.is_object() || !said.contains("rate")) return std::nullopt;
    return said["rate"].get<double>();
  }

  // In turns; the first round is to warm up.
  Result<Row> compare(const std::string& name, const std::string& unit,
                      const std::function<Result<double>()>& ours,
                      const std::vector<std::string>& words) {
    std::vector<double> own;
    std::vector<double> theirs;
    for (std::size_t i = 0; i <= runs_ && !interrupted(); ++i) {
      const auto rate = ours();
      if (!rate) return fail(rate.error());
      const auto other = i == 0 || theirs.size() == i - 1 ? peer(words) : std::nullopt;
      if (i == 0) continue;
      own.push_back(*rate);
      if (other) theirs.push_back(*other);
    }
    if (own.empty()) return fail(Code::kCancelled, "interrupted");
    Row row;
    row.name = name;
    row.unit = unit;
    row.ours = summarize(own);
    if (theirs.size() == own.size()) {
      row.peer_name = "PyTorch";
      row.peer = summarize(theirs);
      row.ratio = row.ours.median / row.peer->median;
    } else {
      row.note = "no PyTorch with a GPU here to stand beside it";
    }
    return row;
  }

  cuda::Accelerator& gpu_;
  cuda::BoundedPool memory_;
  const std::size_t runs_;
  const std::string script_;
};

}  // namespace

Result<SuiteReport> run_gpu(const Settings& settings) {
  SuiteReport report;
  auto gpu = cuda::open_gpu(0);
  if (!gpu) {
    report.skipped = fmt::format("it needs a GPU: {}", gpu.error().message);
    return report;
  }
  say(fmt::format("gpu: {}", (*gpu)->name()));
  GpuBench bench(**gpu, settings);
  for (const auto& measure : std::initializer_list<std::function<Result<Row>()>>{
           [&] { return bench.gemm(settings.side.value_or(kSide)); },
           [&] { return bench.gpt(); }}) {
    auto row = measure();
    if (!row) return fail(row.error());
    report.rows.push_back(*std::move(row));
  }
  return report;
}

}  // namespace overwinter::bench
