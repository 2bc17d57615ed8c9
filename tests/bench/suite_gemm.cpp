// What a worker multiplies by (ChosenGemm, measured as at its start) beside each library on its own
// threads, and against what the registers can do.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <thread>
#include <type_traits>

#include "tests/bench/cluster.h"
#include "tests/bench/matrices.h"
#include "tests/bench/products.h"
#include "tests/bench/suites.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/kernels/convert.h"
#include "worker/kernels/openblas_core.h"
#include "worker/memory/host_resource.h"

namespace overwinter::bench {
namespace {

constexpr std::size_t kRuns = 7;
constexpr double kSecondsMin = 0.02;  // of one timing: small products are repeated
constexpr double kMeasureEach = 0.3;  // as a worker does (worker/runtime/products_file.cpp)
constexpr double kWanted = 0.98;
// Threads of OpenBLAS and OpenMP look for more work for some milliseconds after a product.
constexpr std::chrono::milliseconds kSettle{30};

struct Shape {
  std::size_t m, n, k;
  [[nodiscard]] double gflop() const {
    return 2e-9 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};
// 8192 by --n 8192: it alone takes as long as the rest.
constexpr std::array<Shape, 6> kShapes{{{512, 512, 512},
                                        {1024, 1024, 1024},
                                        {2048, 2048, 2048},
                                        {4096, 4096, 4096},
                                        {64, 4096, 4096},
                                        {1024, 768, 3072}}};
// Of the other types.
constexpr std::array<Shape, 2> kFewShapes{{{2048, 2048, 2048}, {64, 4096, 4096}}};

template <class T>
struct Data {
  std::vector<T> a, b;
  std::vector<typename worker::Gemm<T>::Sum> c;
};

template <class T>
std::vector<T> values_of(std::size_t count, std::uint64_t seed) {
  const std::vector<float> from = random_values(count, seed);
  std::vector<T> to(count);
  if constexpr (std::is_same_v<T, std::int8_t>) {
    std::ranges::transform(from, to.begin(),
                           [](float x) { return static_cast<std::int8_t>(x * 127); });
  } else if constexpr (std::is_floating_point_v<T>) {
    std::ranges::copy(from, to.begin());
  } else {
    worker::narrow(from.data(), count, to.data());
  }
  return to;
}

// One way to compute it. `prepare` is not timed.
struct Side {
  std::string name;
  std::function<void()> prepare;
  std::function<Status()> product;
  bool right = true;  // false: its results are wrong here; shown, and no peer
};

Result<double> gflops_of(const Side& side, const Shape& s, unsigned threads) {
  std::this_thread::sleep_for(kSettle);
  side.prepare();
  const double begin = seconds_now(threads);
  double seconds = 0;
  int times = 0;
  do {
    if (Status done = side.product(); !done.ok()) return fail(done);
    ++times;
    seconds = seconds_now(threads) - begin;
  } while (seconds < kSecondsMin);
  return s.gflop() * times / seconds;
}

template <class T>
worker::Gemm<T> problem_of(const Shape& s, Data<T>& d) {
  worker::Gemm<T> p;
  p.m = s.m;
  p.n = s.n;
  p.k = s.k;
  p.a = d.a.data();
  p.b = d.b.data();
  p.c = d.c.data();
  p.lda = s.k;
  p.ldb = p.ldc = s.n;
  return p;
}

// oneDNN's primitive for the type; nothing where it has none on this processor.
template <class T>
std::function<Status()> onednn_matmul(const worker::Gemm<T>& p, dnnl::memory::data_type type,
                                      dnnl::memory::data_type sum) {
  try {
    const auto desc = [](std::size_t rows, std::size_t columns, dnnl::memory::data_type of) {
      return dnnl::memory::desc(
          {static_cast<dnnl::memory::dim>(rows), static_cast<dnnl::memory::dim>(columns)}, of,
          dnnl::memory::format_tag::ab);
    };
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    const auto a = desc(p.m, p.k, type);
    const auto b = desc(p.k, p.n, type);
    const auto c = desc(p.m, p.n, sum);
    const dnnl::matmul product(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), engine));
    const auto memory = [engine](const dnnl::memory::desc& of, const void* data) {
      return dnnl::memory(of, engine, const_cast<void*>(data));
    };
    const dnnl::stream stream(engine);
    return [=, a_memory = memory(a, p.a), b_memory = memory(b, p.b), c_memory = memory(c, p.c)] {
      dnnl::stream mine = stream;
      product.execute(
          mine, {{DNNL_ARG_SRC, a_memory}, {DNNL_ARG_WEIGHTS, b_memory}, {DNNL_ARG_DST, c_memory}});
      mine.wait();
      return Status::success();
    };
  } catch (const dnnl::error&) {
    return {};
  }
}

class GemmBench {
 public:
  GemmBench(unsigned threads, std::size_t runs)
      : threads_(threads), runs_(runs), team_(threads), gemm_(team_, memory_) {
    own_core_ = worker::openblas_core();
    const auto others = worker::other_openblas_cores();
    core_ = worker::choose_openblas_core(others);
    cores_ = {own_core_};
    cores_.insert(cores_.end(), others.begin(), others.end());
    gemm_.use(worker::measure_gemm_choice(gemm_, kMeasureEach));
    say(fmt::format("gemm: {} threads: {}", threads, worker::describe(gemm_)));
    peak_ = peak_gflops(threads);
  }
  ~GemmBench() { worker::use_openblas_core(own_core_); }
  GemmBench(const GemmBench&) = delete;
  GemmBench& operator=(const GemmBench&) = delete;

  template <class T>
  Result<Row> measure(const Shape& s) {
    using Sum = typename worker::Gemm<T>::Sum;
    Data<T> d{values_of<T>(s.m * s.k, 1), values_of<T>(s.k * s.n, 2), std::vector<Sum>(s.m * s.n)};
    const worker::Gemm<T> p = problem_of(s, d);
    constexpr worker::GemmType kType = worker::GemmTraits<T>::kType;
    const auto type_name = worker::gemm_type_name(kType);
    Data<float> wide;
    std::vector<Side> peers = peers_of(s, p, wide);
    const Side ours{"ours", [this] { use_our_threads(core_); }, [&] { return gemm_.gemm(p); }};
    auto row = compare(ours, peers, s);
    if (!row) return row;
    const auto& best = gemm_.choice().of(kType, worker::gemm_class(s.m, s.n, s.k));
    row->name = fmt::format("{} {}x{}x{} (m n k), {} thread{}", type_name, s.m, s.n, s.k, threads_,
                            threads_ == 1 ? ", CPU time" : "s");
    row->note += fmt::format("; chosen: {}", worker::gemm_library_name(best.library));
    return row;
  }

 private:
  std::function<void()> library_threads(const std::string& core) {
    return [this, core] { use_library_threads(core, threads_); };
  }

  template <class T>
  std::vector<Side> peers_of(const Shape& s, const worker::Gemm<T>& p, Data<float>& wide) {
    using Type = dnnl::memory::data_type;
    std::vector<Side> peers;
    if constexpr (std::is_floating_point_v<T>) {
      for (const std::string& core : cores_) {
        peers.push_back(
            {"OpenBLAS " + core, library_threads(core), [p] { return by_openblas(p); }});
      }
      if constexpr (std::is_same_v<T, float>) {
        peers.push_back({"oneDNN", library_threads(own_core_), [p] { return by_onednn(p); }});
      }
      return peers;
    }
    library_threads(own_core_)();  // its primitive is made for so many threads
    std::function<Status()> product;
    if constexpr (std::is_same_v<T, BFloat16>) product = onednn_matmul(p, Type::bf16, Type::f32);
    if constexpr (std::is_same_v<T, Float16>) product = onednn_matmul(p, Type::f16, Type::f32);
    if constexpr (std::is_same_v<T, std::int8_t>) product = onednn_matmul(p, Type::s8, Type::s32);
    const bool exact =
        !std::is_same_v<T, std::int8_t> ||
        gemm_.backend(worker::GemmLibrary::kOneDnn).supports(worker::GemmType::kInt8);
    if (product) {
      peers.push_back({exact ? "oneDNN" : "oneDNN (wrong: its sums saturate on this processor)",
                       library_threads(own_core_), product, exact});
    }
    if (!product || !exact) {
      wide = {values_of<float>(s.m * s.k, 1), values_of<float>(s.k * s.n, 2),
              std::vector<float>(s.m * s.n)};
      peers.push_back({"OpenBLAS sgemm of factors widened before", library_threads(core_),
                       [q = problem_of(s, wide)] { return by_openblas(q); }});
    }
    return peers;
  }

  // In turns, so that all sides meet the same machine. The first round is to warm up.
  Result<Row> compare(const Side& ours, const std::vector<Side>& peers, const Shape& s) {
    std::vector<double> own;
    std::vector<std::vector<double>> theirs(peers.size());
    for (std::size_t i = 0; i <= runs_ && !interrupted(); ++i) {
      const auto mine = gflops_of(ours, s, threads_);
      if (!mine) return fail(mine.error());
      if (i != 0) own.push_back(*mine);
      for (std::size_t peer = 0; peer < peers.size(); ++peer) {
        const auto other = gflops_of(peers[peer], s, threads_);
        if (!other) return fail(other.error());
        if (i != 0) theirs[peer].push_back(*other);
      }
    }
    if (own.empty()) return fail(Code::kCancelled, "interrupted");
    return row_of(own, peers, theirs);
  }

  Row row_of(const std::vector<double>& own, const std::vector<Side>& peers,
             const std::vector<std::vector<double>>& theirs) const {
    Row row;
    row.unit = "GFLOP/s";
    row.ours = summarize(own);
    for (std::size_t peer = 0; peer < peers.size(); ++peer) {
      const Summary summary = summarize(theirs[peer]);
      row.note += fmt::format("{}{} {:.1f}", row.note.empty() ? "" : ", ", peers[peer].name,
                              summary.median);
      if (!peers[peer].right || (row.peer && summary.median <= row.peer->median)) continue;
      row.peer = summary;
      row.peer_name = "the best: " + peers[peer].name;
    }
    row.ratio = row.ours.median / row.peer->median;
    row.target = fmt::format("at least {:.2f} of the best", kWanted);
    row.met = *row.ratio >= kWanted;
    if (peak_ > 0) {
      row.limit_name = fmt::format("{:.0f} GFLOP/s, fp32 multiply-adds from registers", peak_);
      row.fraction = row.ours.median / peak_;
    }
    return row;
  }

  const unsigned threads_;
  const std::size_t runs_;
  worker::HostResource memory_;
  worker::ThreadTeam team_;
  worker::ChosenGemm gemm_;
  std::string own_core_;
  std::string core_;
  std::vector<std::string> cores_;
  double peak_ = 0;
};

template <class T>
Status add_rows(GemmBench& bench, const std::vector<Shape>& shapes, SuiteReport& report) {
  for (const Shape& shape : shapes) {
    auto row = bench.measure<T>(shape);
    if (!row) return row.error();
    say(fmt::format("gemm: {}: {:.1f}, {:.3f} of the best; {}", row->name, row->ours.median,
                    *row->ratio, row->note));
    report.rows.push_back(*std::move(row));
  }
  return Status::success();
}

}  // namespace

Result<SuiteReport> run_gemm(const Settings& settings) {
  SuiteReport report;
  const std::size_t runs = settings.runs.value_or(kRuns);
  std::vector<Shape> shapes(kShapes.begin(), kShapes.end());
  std::vector<Shape> few(kFewShapes.begin(), kFewShapes.end());
  if (settings.side) shapes = few = {{*settings.side, *settings.side, *settings.side}};
  for (const unsigned threads : {1U, 2U}) {
    GemmBench bench(threads, runs);
    for (const auto& add : {add_rows<float>, add_rows<double>, add_rows<BFloat16>,
                            add_rows<Float16>, add_rows<std::int8_t>}) {
      const bool all = add == &add_rows<float>;
      if (settings.side && !all) continue;  // fp32 alone: the rest takes as long
      if (Status done = add(bench, all ? shapes : few, report); !done.ok()) return fail(done);
    }
  }
  return report;
}

}  // namespace overwinter::bench
