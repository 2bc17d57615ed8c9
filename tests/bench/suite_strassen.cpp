// Large fp32 products by Strassen's method (StrassenGemm) over what a worker multiplies by, beside
// the fastest plain sgemm there is here: each library on our threads and on its own.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <thread>

#include "tests/bench/cluster.h"
#include "tests/bench/matrices.h"
#include "tests/bench/products.h"
#include "tests/bench/suites.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/kernels/measure_strassen.h"
#include "worker/kernels/openblas_core.h"
#include "worker/kernels/strassen_gemm.h"
#include "worker/memory/host_resource.h"

namespace overwinter::bench {
namespace {

constexpr std::size_t kRuns = 5;
constexpr std::size_t kRowsChecked = 8;
// The first as a worker does (worker/runtime/products_file.cpp).
constexpr double kMeasureGemm = 0.3;
constexpr double kMeasureSide = 0.6;
constexpr double kErrorMax = 1e-5;
constexpr std::chrono::milliseconds kSettle{30};  // threads of the libraries look for more work

// 12288 by --n 12288: it alone takes as long as the rest.
constexpr std::array<std::uint64_t, 3> kSides{2048, 4096, 8192};
constexpr std::uint64_t kOneThreadMax = 4096;

double target_of(std::uint64_t side, unsigned threads) {
  if (threads != 2) return 0;
  return side >= 12288 ? 1.22 : side >= 8192 ? 1.20 : side >= 4096 ? 1.08 : 0;
}

std::uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) << 10U;
  }
  return 0;
}

struct Side {
  std::string name;
  std::function<void()> prepare;
  std::function<Status()> product;
};

class StrassenBench {
 public:
  StrassenBench(unsigned threads, std::size_t runs)
      : threads_(threads),
        runs_(runs),
        team_(threads),
        gemm_(team_, memory_),
        strassen_(gemm_, team_, memory_) {
    own_core_ = worker::openblas_core();
    core_ = worker::choose_openblas_core(worker::other_openblas_cores());
    gemm_.use(worker::measure_gemm_choice(gemm_, kMeasureGemm));
    const std::uint64_t side =
        worker::measure_strassen_side(gemm_, team_, worker::GemmType::kFp32, kMeasureSide);
    peak_ = peak_gflops(threads);
    say(
        fmt::format("strassen: {} threads: halving pays from a side of {} on (0: not found); "
                    "peak {:.0f} GFLOP/s",
                    threads, side, peak_));
  }
  ~StrassenBench() { worker::use_openblas_core(own_core_); }
  StrassenBench(const StrassenBench&) = delete;
  StrassenBench& operator=(const StrassenBench&) = delete;

  Result<Row> measure(std::uint64_t side) {
    const std::uint64_t needed =
        3 * side * side * sizeof(float) + workspace_of(side, plan::kStrassenLevelsMax);
    Row row;
    row.unit = "GFLOP/s";
    if (available_bytes() < needed + needed / 4) {
      return fail(Code::kResourceExhausted,
                  fmt::format("a side of {} needs {} MiB of free memory", side, needed >> 20U));
    }
    a_ = random_values(side * side, 1);
    b_ = random_values(side * side, 2);
    c_.assign(side * side, 0);
    side_ = side;
    if (Status run = compare(row); !run.ok()) return fail(run);
    strassen_.release();
    row.name = fmt::format("fp32 {0}x{0}x{0}, {1} thread{2}, {3} level{4}", side, threads_,
                           threads_ == 1 ? ", CPU time" : "s", levels_, levels_ == 1 ? "" : "s");
    row.note += fmt::format("; workspace {} MiB", workspace_of(side, levels_) >> 20U);
    return row;
  }

 private:
  static std::uint64_t workspace_of(std::uint64_t side, std::uint32_t levels) {
    return plan::strassen_workspace_bytes(side, side, side, levels, sizeof(float), false);
  }

  // This side is halved so often.
  Side halved(std::uint32_t levels) {
    return {"",
            [this, levels] {
              use_our_threads(core_);
              strassen_.use(worker::GemmType::kFp32,
                            {.side = side_ >> (levels - 1), .levels_max = levels});
            },
            [this] { return strassen_.gemm(problem()); }};
  }

  worker::Gemm<float> problem() {
    worker::Gemm<float> p;
    p.m = p.n = p.k = p.lda = p.ldb = p.ldc = side_;
    p.a = a_.data();
    p.b = b_.data();
    p.c = c_.data();
    return p;
  }

  std::vector<Side> plain_sides() {
    std::vector<Side> sides;
    for (const auto library : {worker::GemmLibrary::kOpenBlas, worker::GemmLibrary::kOneDnn}) {
      sides.push_back({fmt::format("{} on our threads", worker::gemm_library_name(library)),
                       [this] { use_our_threads(core_); },
                       [this, library] { return gemm_.backend(library).gemm(problem()); }});
    }
    sides.push_back({"OpenBLAS on its own", [this] { use_library_threads(core_, threads_); },
                     [this] { return by_openblas(problem()); }});
    sides.push_back({"oneDNN on its own", [this] { use_library_threads(core_, threads_); },
                     [this] { return by_onednn(problem()); }});
    return sides;
  }

  Result<double> gflops_of(const Side& side) {
    std::this_thread::sleep_for(kSettle);
    side.prepare();
    const double begin = seconds_now(threads_);
    if (Status done = side.product(); !done.ok()) return fail(done);
    const auto n = static_cast<double>(side_);
    return 2e-9 * n * n * n / (seconds_now(threads_) - begin);
  }

  // The first round warms up and finds the fastest plain side, and how often halving is fastest
  // within the error that is allowed; then these two in turns.
  Status compare(Row& row) {
    std::vector<Side> plain = plain_sides();
    std::size_t best = 0;
    double most = 0;
    for (std::size_t i = 0; i < plain.size() && !interrupted(); ++i) {
      const auto speed = gflops_of(plain[i]);
      if (!speed) return speed.error();
      row.note += fmt::format("{}{} {:.1f}", i == 0 ? "once each: " : ", ", plain[i].name, *speed);
      if (*speed > most) best = i;
      most = std::max(most, *speed);
    }
    const double plain_error = error_of_rows();
    double error = 0;
    double fastest = 0;
    for (std::uint32_t levels = 1; levels <= plan::kStrassenLevelsMax && !interrupted(); ++levels) {
      const auto speed = gflops_of(halved(levels));
      if (!speed) return speed.error();
      const double off = error_of_rows();
      row.note += fmt::format(", {} level{} {:.1f} (error {:.1e})", levels, levels == 1 ? "" : "s",
                              *speed, off);
      if (*speed <= fastest || off > kErrorMax) continue;
      fastest = *speed;
      levels_ = levels;
      error = off;
    }
    const Side ours = halved(levels_);
    std::vector<double> own;
    std::vector<double> theirs;
    for (std::size_t i = 0; i < runs_ && !interrupted(); ++i) {
      const auto other = gflops_of(plain[best]);
      if (!other) return other.error();
      theirs.push_back(*other);
      const auto mine = gflops_of(ours);
      if (!mine) return mine.error();
      own.push_back(*mine);
    }
    if (own.empty()) return overwinter::error(Code::kCancelled, "interrupted");
    row.ours = summarize(own);
    row.peer = summarize(theirs);
    row.peer_name = "the best plain one: " + plain[best].name;
    row.ratio = row.ours.median / row.peer->median;
    row.limit_name = fmt::format("{:.0f} GFLOP/s, fp32 multiply-adds from registers", peak_);
    if (peak_ > 0) row.fraction = row.ours.median / peak_;
    row.note += fmt::format("; relative error {:.1e}, plain {:.1e}", error, plain_error);
    if (const double wanted = target_of(side_, threads_); wanted > 0) {
      const bool above_peak = side_ == 8192;
      row.target = fmt::format("at least {:.2f} of the best plain one{}, error at most {:.0e}",
                               wanted, above_peak ? ", above the peak" : "", kErrorMax);
      row.met =
          *row.ratio >= wanted && error <= kErrorMax && (!above_peak || row.ours.median > peak_);
    }
    return Status::success();
  }

  // Of some rows of C, |C' - C| / |C|, norms of Frobenius, against sums in double.
  double error_of_rows() {
    double off = 0;
    double size = 0;
    std::vector<double> want(side_);
    for (std::size_t i = 0; i < kRowsChecked; ++i) {
      const std::size_t row = (2 * i + 1) * side_ / (2 * kRowsChecked);
      std::ranges::fill(want, 0);
      for (std::size_t l = 0; l < side_; ++l) {
        const double x = static_cast<double>(a_[row * side_ + l]);
        for (std::size_t j = 0; j < side_; ++j) {
          want[j] += x * static_cast<double>(b_[l * side_ + j]);
        }
      }
      for (std::size_t j = 0; j < side_; ++j) {
        const double d = static_cast<double>(c_[row * side_ + j]) - want[j];
        off += d * d;
        size += want[j] * want[j];
      }
    }
    return std::sqrt(off / size);
  }

  const unsigned threads_;
  const std::size_t runs_;
  worker::HostResource memory_;
  worker::ThreadTeam team_;
  worker::ChosenGemm gemm_;
  worker::StrassenGemm strassen_;
  std::string own_core_;
  std::string core_;
  double peak_ = 0;
  std::uint64_t side_ = 0;
  std::uint32_t levels_ = 1;
  std::vector<float> a_;
  std::vector<float> b_;
  std::vector<float> c_;
};

}  // namespace

Result<SuiteReport> run_strassen(const Settings& settings) {
  SuiteReport report;
  for (const unsigned threads : {2U, 1U}) {
    StrassenBench bench(threads, settings.runs.value_or(kRuns));
    std::vector<std::uint64_t> sides(kSides.begin(), kSides.end());
    if (settings.side) sides = {*settings.side};
    for (const std::uint64_t side : sides) {
      if (threads == 1 && side > kOneThreadMax) continue;  // minutes a run
      auto row = bench.measure(side);
      if (!row) return fail(row.error());
      say(fmt::format("strassen: {}: {:.1f}, {:.3f} of {}; {}", row->name, row->ours.median,
                      *row->ratio, row->peer_name, row->note));
      report.rows.push_back(*std::move(row));
    }
  }
  return report;
}

}  // namespace overwinter::bench
