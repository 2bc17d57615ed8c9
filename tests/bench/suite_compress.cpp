// Compressing a weight beside PyTorch and NumPy, and against what memory can be copied with.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/bench/cluster.h"
#include "tests/bench/matrices.h"
#include "tests/bench/suites.h"
#include "worker/compress/cast.h"
#include "worker/compress/int8_linear.h"
#include "worker/compress/prune.h"
#include "worker/compress/quantize.h"
#include "worker/compress/shares.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/memory/host_resource.h"

namespace overwinter::bench {
namespace {

constexpr std::size_t kRuns = 5;
constexpr std::uint64_t kSide = 4096;  // 64 MiB of fp32: beyond the caches
constexpr std::size_t kRowsOfX = 256;
constexpr double kSecondsMin = 0.05;  // of one operation in one round

// One thread: of its CPU, so that what else runs on the machine counts less. More: by the wall.
double seconds_of(unsigned threads) {
  timespec now{};
  ::clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Where each operation of ours reads and writes.
struct Tensors {
  explicit Tensors(std::uint64_t side)
      : shape{side, side},
        x(random_values(side * side, 1)),
        copy(x.size()),
        magnitude(x.size()),
        fours(x.size()),
        bf16(x.size()),
        fp16(x.size()),
        int8_rows(x.size()),
        int8_columns(x.size()),
        row_scales(side),
        column_scales(side),
        y(kRowsOfX * side) {}
  [[nodiscard]] worker::Tensor<const float> tensor() const { return {"x", shape, x}; }

  std::vector<std::size_t> shape;
  std::vector<float> x, copy, magnitude, fours;
  std::vector<BFloat16> bf16;
  std::vector<Float16> fp16;
  std::vector<std::int8_t> int8_rows, int8_columns;
  std::vector<float> row_scales, column_scales, y;
};

struct Operation {
  std::string name;  // as the peer calls it
  std::string what;
  double bytes = 0;  // read and written of each value, once
  std::function<Status()> run;
  std::string peer;
  std::vector<double> ours = {};
  std::vector<double> theirs = {};
};

template <class T>
Status save(const std::string& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(T)));
  file.close();
  return file ? Status::success() : error(Code::kInternal, "cannot write " + path);
}

class CompressBench {
 public:
  CompressBench(unsigned threads, std::uint64_t side, std::string folder, std::string script)
      : threads_(threads),
        folder_(std::move(folder)),
        script_(std::move(script)),
        t_(side),
        team_(threads),
        gemm_(team_, memory_) {}

  Status run(std::size_t runs, SuiteReport& report) {
    if (Status saved = save(folder_ + "/x.f32", t_.x); !saved.ok()) return saved;
    if (Status made = make_operations(); !made.ok()) return made;
    for (std::size_t round = 0; round <= runs && !interrupted(); ++round) {
      say(fmt::format("compress: {} threads, round {} of {}", threads_, round, runs));
      for (Operation& one : operations_) {
        const auto seconds = time(one);
        if (!seconds) return seconds.error();
        if (round != 0) one.ours.push_back(*seconds);  // the first one is to warm up
      }
      if (round == 0) {
        if (Status saved = save_results(); !saved.ok()) return saved;
      }
      if (Status done = peer_round(round); !done.ok()) return done;
    }
    if (operations_.front().ours.empty()) return error(Code::kCancelled, "interrupted");
    for (const Operation& one : operations_) report.rows.push_back(row_of(one));
    return Status::success();
  }

 private:
  void add(std::string name, std::string what, double bytes, std::function<Status()> run,
           std::string peer) {
    operations_.push_back(
        {std::move(name), std::move(what), bytes, std::move(run), std::move(peer)});
  }

  Status make_operations() {
    const auto prune = [this] {
      auto done = worker::prune_magnitude(team_, t_.tensor(), 0.5, t_.magnitude);
      return done ? Status::success() : done.error();
    };
    add(
        "copy", "memory: a copy of fp32", 8, [this] { return copy(); }, "");
    add(
        "bf16", "cast to bf16", 6,
        [this] { return worker::cast(team_, t_.tensor(), std::span(t_.bf16)); }, "PyTorch");
    add(
        "fp16", "cast to fp16", 6,
        [this] { return worker::cast(team_, t_.tensor(), std::span(t_.fp16)); }, "PyTorch");
    add(
        "int8_rows", "int8, a scale a row", 5,
        [this] {
          return worker::quantize_int8(team_, t_.tensor(), worker::Channels::kFirst, t_.int8_rows,
                                       t_.row_scales);
        },
        "PyTorch");
    add(
        "int8_columns", "int8, a scale a column", 5,
        [this] {
          return worker::quantize_int8(team_, t_.tensor(), worker::Channels::kLast, t_.int8_columns,
                                       t_.column_scales);
        },
        "PyTorch");
    add(
        "fours", "pruning 2:4", 8,
        [this] { return worker::prune_2_of_4(team_, t_.tensor(), t_.fours); }, "PyTorch, topk");
    add("magnitude", "pruning half by magnitude", 8, prune, "PyTorch, topk");

    // Its weights are quantised already; the suite times products.
    Status done = worker::quantize_int8(team_, t_.tensor(), worker::Channels::kFirst, t_.int8_rows,
                                        t_.row_scales);
    if (!done.ok()) return done;
    auto linear = worker::Int8Linear::make(gemm_, team_, memory_, {"x", t_.shape, t_.int8_rows},
                                           worker::Channels::kFirst, t_.row_scales);
    if (!linear) return linear.error();
    linear_ = std::make_unique<worker::Int8Linear>(*std::move(linear));
    x_shape_ = {kRowsOfX, t_.shape[1]};
    add(
        "linear", fmt::format("int8 product, x quantised as it comes, {} rows", kRowsOfX), 0,
        [this] {
          const auto rows = std::span<const float>(t_.x).first(kRowsOfX * t_.shape[1]);
          return linear_->multiply({"x", x_shape_, rows}, {}, t_.y);
        },
        "PyTorch, dynamic (qnnpack)");
    add(
        "fp32", "the same product in fp32", 0, [this] { return multiply_fp32(); }, "");
    return Status::success();
  }

  Status copy() {
    worker::for_each_share(team_, t_.x.size(), worker::kShareStep,
                           [&](std::uint32_t, std::size_t begin, std::size_t end) {
                             std::copy(t_.x.data() + begin, t_.x.data() + end,
                                       t_.copy.data() + begin);
                           });
    return Status::success();
  }

  Status multiply_fp32() {
    worker::Gemm<float> p;
    p.m = kRowsOfX;
    p.n = t_.shape[0];
    p.k = t_.shape[1];
    p.transpose_b = true;
    p.a = t_.x.data();
    p.b = t_.x.data();
    p.lda = p.ldb = p.k;
    p.c = t_.y.data();
    p.ldc = p.n;
    return gemm_.gemm(p);
  }

  Result<double> time(const Operation& one) const {
    double least = std::numeric_limits<double>::infinity();
    double spent = 0;
    while (spent < kSecondsMin) {
      const double begin = seconds_of(threads_);
      if (Status done = one.run(); !done.ok()) return fail(std::move(done));
      const double took = seconds_of(threads_) - begin;
      least = std::min(least, took);
      spent += took;
    }
    return least;
  }

  Status save_results() const {
    for (const Status& saved :
         {save(folder_ + "/bf16.u16", t_.bf16), save(folder_ + "/fp16.u16", t_.fp16),
          save(folder_ + "/int8_rows.i8", t_.int8_rows),
          save(folder_ + "/int8_columns.i8", t_.int8_columns),
          save(folder_ + "/magnitude.f32", t_.magnitude), save(folder_ + "/fours.f32", t_.fours)}) {
      if (!saved.ok()) return saved;
    }
    return Status::success();
  }

  Status peer_round(std::size_t round) {
    const auto done = run_program({"/usr/bin/python3", script_, folder_, std::to_string(threads_)},
                                  {}, folder_ + "/peer.log");
    if (!done) return done.error();
    const auto said = nlohmann::json::parse(done->output, nullptr, false);
    if (done->exit_code != 0 || !said.is_object())
      return error(Code::kUnavailable, "PyTorch's side did not run (python3-torch is needed)");
    for (Operation& one : operations_) {
      const double seconds = said["seconds"].value(one.name, 0.0);
      if (round != 0 && seconds > 0) one.theirs.push_back(seconds);
      if (round == 0) differs_[one.name] = said["differs"].value(one.name, std::int64_t{-1});
    }
    if (round != 0) numpy_fp16_.push_back(said["seconds"].value("fp16 numpy", 0.0));
    return Status::success();
  }

  [[nodiscard]] std::vector<double> rates(const Operation& one,
                                          const std::vector<double>& seconds) const {
    const auto values = static_cast<double>(t_.x.size());
    const double work = one.bytes > 0 ? one.bytes * values : 2.0 * kRowsOfX * values;
    std::vector<double> out;
    for (const double s : seconds) out.push_back(work / s * 1e-9);
    return out;
  }

  Row row_of(const Operation& one) const {
    Row row;
    row.name =
        fmt::format("{}, {} thread{}", one.what, threads_, threads_ == 1 ? ", CPU time" : "s");
    row.unit = one.bytes > 0 ? "GB/s" : "GFLOP/s";
    row.ours = summarize(rates(one, one.ours));
    if (!one.theirs.empty()) {
      row.peer_name = one.peer;
      row.peer = summarize(rates(one, one.theirs));
      row.ratio = row.ours.median / row.peer->median;
    }
    const bool memory = one.bytes > 0;
    const Operation& limit = memory ? operations_.front() : operations_.back();
    if (&one != &limit) {
      const double most = summarize(rates(limit, limit.ours)).median;
      row.limit_name = memory ? fmt::format("{:.1f} GB/s, a copy", most)
                              : fmt::format("{:.1f} GFLOP/s, the same in fp32", most);
      row.fraction = row.ours.median / most;
    }
    if (const auto at = differs_.find(one.name); at != differs_.end() && at->second >= 0)
      row.note = fmt::format("{} of {} elements differ from the peer's", at->second, t_.x.size());
    if (one.name == "fp16")
      row.note += fmt::format("; NumPy {:.2f} GB/s", summarize(rates(one, numpy_fp16_)).median);
    if (one.name == "linear" && gemm_.widens(worker::GemmType::kInt8))
      row.note = "this processor has no instructions for int8: multiplied as fp32";
    return row;
  }

  const unsigned threads_;
  const std::string folder_;
  const std::string script_;
  Tensors t_;
  worker::HostResource memory_;
  worker::ThreadTeam team_;
  worker::ChosenGemm gemm_;
  std::unique_ptr<worker::Int8Linear> linear_;
  std::vector<std::size_t> x_shape_;
  std::vector<Operation> operations_;
  std::map<std::string, std::int64_t> differs_;
  std::vector<double> numpy_fp16_;
};

}  // namespace

Result<SuiteReport> run_compress(const Settings& settings) {
  SuiteReport report;
  for (const unsigned threads : {1U, 2U}) {
    auto folder = Folder::make();
    if (!folder) return fail(folder.error());
    CompressBench bench(threads, settings.side.value_or(kSide), folder->path(),
                        settings.bin + "/compress_peer.py");
    if (Status done = bench.run(settings.runs.value_or(kRuns), report); !done.ok())
      return fail(std::move(done));
  }
  return report;
}

}  // namespace overwinter::bench
