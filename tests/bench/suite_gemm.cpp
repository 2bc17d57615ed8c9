// The worker's backend against plain OpenBLAS, and against what the registers can do.
#include <cblas.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <functional>
#include <type_traits>

#include "tests/bench/cluster.h"
#include "tests/bench/matrices.h"
#include "tests/bench/suites.h"
#include "worker/kernels/openblas_gemm.h"

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRuns = 7;
constexpr double kSecondsMin = 0.02;  // of one timing: small products are repeated

struct Shape {
  std::size_t m, n, k;
  const char* what;
};
constexpr std::array<Shape, 5> kShapes{{{512, 512, 512, "small"},
                                        {1024, 1024, 4096, "a tile of a product"},
                                        {4096, 4096, 256, "flat"},
                                        {4096, 64, 4096, "skinny"},
                                        {2048, 2048, 2048, "square"}}};

template <class T>
struct Data {
  std::vector<T> a, b, c;
};

template <class T>
Data<T> make_data(const Shape& s) {
  const auto fill = [](std::size_t count, std::uint64_t seed) {
    const std::vector<float> values = random_values(count, seed);
    return std::vector<T>(values.begin(), values.end());
  };
  return {fill(s.m * s.k, 1), fill(s.k * s.n, 2), std::vector<T>(s.m * s.n)};
}

template <class T>
void plain(const Shape& s, Data<T>& d) {
  const auto m = static_cast<blasint>(s.m);
  const auto n = static_cast<blasint>(s.n);
  const auto k = static_cast<blasint>(s.k);
  if constexpr (std::is_same_v<T, float>) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, d.a.data(), k, d.b.data(), n,
                0, d.c.data(), n);
  } else {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, d.a.data(), k, d.b.data(), n,
                0, d.c.data(), n);
  }
}

double gflops(const Shape& s, const std::function<void()>& product) {
  const auto begin = Clock::now();
  double seconds = 0;
  int times = 0;
  do {
    product();
    ++times;
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  } while (seconds < kSecondsMin);
  return 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) *
         times / seconds * 1e-9;
}

template <class T>
Result<Row> measure(const Shape& s, unsigned threads, std::size_t runs, double peak) {
  Data<T> d = make_data<T>(s);
  worker::ThreadTeam team(threads);
  worker::OpenBlasGemm backend(team);
  worker::Gemm<T> p;
  p.m = s.m;
  p.n = s.n;
  p.k = s.k;
  p.a = d.a.data();
  p.b = d.b.data();
  p.c = d.c.data();
  p.lda = s.k;
  p.ldb = p.ldc = s.n;
  Status failed;
  std::vector<double> ours;
  std::vector<double> peer;
  for (std::size_t i = 0; i <= runs && !interrupted(); ++i) {  // the first is to warm up
    openblas_set_num_threads(1);
    const double a = gflops(s, [&] {
      if (Status done = backend.gemm(p); !done.ok()) failed = done;
    });
    openblas_set_num_threads(static_cast<int>(threads));
    const double b = gflops(s, [&] { plain(s, d); });
    if (i == 0) continue;
    ours.push_back(a);
    peer.push_back(b);
  }
  openblas_set_num_threads(1);
  if (!failed.ok()) return fail(failed);
  Row row;
  row.name = fmt::format("{} {}x{}x{} (m n k), {}, {} thread{}",
                         std::is_same_v<T, float> ? "fp32" : "fp64", s.m, s.n, s.k, s.what, threads,
                         threads == 1 ? "" : "s");
  row.unit = "GFLOP/s";
  row.ours = summarize(ours);
  row.peer = summarize(peer);
  row.peer_name = fmt::format("cblas, openblas_set_num_threads({})", threads);
  row.ratio = row.ours.median / row.peer->median;
  if (peak > 0) {
    row.limit_name = fmt::format("{:.0f} GFLOP/s, multiply-adds from registers", peak);
    row.fraction = row.ours.median / peak;
  }
  return row;
}

}  // namespace

Result<SuiteReport> run_gemm(const Settings& settings) {
  SuiteReport report;
  const std::size_t runs = settings.runs.value_or(kRuns);
  std::vector<Shape> shapes(kShapes.begin(), kShapes.end());
  if (settings.side) shapes = {{*settings.side, *settings.side, *settings.side, "square"}};
  for (const unsigned threads : {1U, 2U}) {
    const double peak = peak_gflops(threads);
    for (const Shape& shape : shapes) {
      say(fmt::format("gemm: {} x {} x {}, {} threads", shape.m, shape.n, shape.k, threads));
      const auto single = measure<float>(shape, threads, runs, peak);
      if (!single) return fail(single.error());
      report.rows.push_back(*single);
    }
    const auto wide = measure<double>(shapes.back(), threads, runs, peak / 2);
    if (!wide) return fail(wide.error());
    report.rows.push_back(*wide);
  }
  return report;
}

}  // namespace overwinter::bench
