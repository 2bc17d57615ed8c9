// What the coordinator's check costs, as a share of the product that it checks.
#include <cblas.h>
#include <fmt/format.h>

#include <chrono>
#include <span>

#include "common/verify/freivalds.h"
#include "common/verify/tile_check.h"
#include "tests/bench/cluster.h"
#include "tests/bench/matrices.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kSide = 4096;
constexpr std::uint64_t kTileSide = 1024;
constexpr std::size_t kRuns = 5;
constexpr std::uint64_t kRowsAtOnce = 256;

struct Matrices {
  std::vector<float> a, b, c;
};

template <class Work>
double seconds_of(Work&& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

verify::FreivaldsSketch make_sketch(const plan::MatmulGeometry& g, const Matrices& x) {
  verify::SketchBuilder builder(g, {11, 22, 33, 44});
  for (const std::uint64_t row : builder.calibration_rows()) {
    builder.set_calibration_row<float>(row, std::span(x.a).subspan(row * g.k, g.k));
  }
  const auto feed = [](const std::vector<float>& all, std::uint64_t columns, auto&& take) {
    const std::uint64_t step = kRowsAtOnce * columns;
    for (std::uint64_t at = 0; at < all.size(); at += step) {
      take(std::span(all).subspan(at, std::min<std::uint64_t>(step, all.size() - at)));
    }
  };
  do {
    feed(x.b, g.n, [&](std::span<const float> rows) { builder.add_b_rows<float>(rows); });
  } while (!builder.finish_b());
  feed(x.a, g.k, [&](std::span<const float> rows) { builder.add_a_rows<float>(rows); });
  return std::move(builder).finish();
}

void multiply(const plan::MatmulGeometry& g, const plan::Tile& tile, Matrices& x,
              std::vector<float>& out) {
  const auto i = [](std::uint64_t v) { return static_cast<blasint>(v); };
  out.resize(tile.elements());
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, i(tile.rows()), i(tile.columns()), i(g.k),
              1.0F, x.a.data() + tile.row_begin * g.k, i(g.k), x.b.data() + tile.column_begin,
              i(g.n), 0.0F, out.data(), i(tile.columns()));
}

struct Times {
  double sketch = 0;
  double checks = 0;
  double products = 0;
};

// One product, tile by tile on one thread, each tile checked.
Result<Times> run_once(const plan::MatmulGeometry& g, Matrices& x) {
  Times out;
  std::optional<verify::FreivaldsSketch> sketch;
  out.sketch = seconds_of([&] { sketch.emplace(make_sketch(g, x)); });
  const auto never = [](std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t,
                        std::span<float>) {
    return error(Code::kInternal, "a right tile was multiplied again");
  };
  std::vector<float> c;
  for (UnitNumber unit = 0; unit < g.grid().units(); ++unit) {
    const plan::Tile tile = g.grid().tile(unit);
    out.products += seconds_of([&] { multiply(g, tile, x, c); });
    Status refused;
    out.checks += seconds_of([&] {
      const auto verdict = verify::check_tile<float>(*sketch, tile, c, {never, never});
      if (!verdict) {
        refused = verdict.error();
      } else if (!verdict->accepted) {
        refused = error(Code::kInternal, "a right tile was refused: " + verdict->reason);
      }
    });
    if (!refused.ok()) return fail(refused);
  }
  return out;
}

Row share(const std::string& name, const std::vector<double>& part,
          const std::vector<double>& product) {
  Row row;
  row.name = name;
  row.unit = "s";
  row.ours = summarize(part);
  row.peer = summarize(product);
  row.peer_name = "the product itself, OpenBLAS on one thread";
  row.limit_name = "the product's time on one thread (a share: less is better)";
  row.fraction = row.ours.median / row.peer->median;
  return row;
}

}  // namespace

Result<SuiteReport> run_verify(const Settings& settings) {
  const std::uint64_t side = settings.side.value_or(kSide);
  const std::size_t runs = settings.runs.value_or(kRuns);
  plan::MatmulGeometry g;
  g.m = g.k = g.n = g.panel_depth = side;
  g.tile_rows = g.tile_columns = std::min(kTileSide, side);
  g.group_rows = 4;
  Matrices x{random_values(side * side, 1), random_values(side * side, 2), {}};
  openblas_set_num_threads(1);
  std::vector<double> sketches;
  std::vector<double> checks;
  std::vector<double> products;
  for (std::size_t i = 0; i < runs && !interrupted(); ++i) {
    say(fmt::format("verify: run {} of {}", i + 1, runs));
    const auto times = run_once(g, x);
    if (!times) return fail(times.error());
    sketches.push_back(times->sketch);
    checks.push_back(times->checks);
    products.push_back(times->products);
  }
  SuiteReport report;
  const std::string of = fmt::format(", n={} fp32, tiles of {}", side, g.tile_rows);
  report.rows.push_back(share("sketches of a job" + of, sketches, products));
  report.rows.push_back(share("checks of all tiles" + of, checks, products));
  return report;
}

}  // namespace overwinter::bench
