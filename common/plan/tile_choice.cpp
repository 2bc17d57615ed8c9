#include "common/plan/tile_choice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "common/plan/comm_volume.h"
#include "common/plan/memory_estimate.h"

namespace overwinter::plan {
namespace {

// Below this a tile is not worth its message; a smaller matrix has smaller tiles.
constexpr std::uint64_t kSideMin = 64;
// What the coordinator keeps a word about: bounds its memory for one job.
constexpr std::uint64_t kUnitsMax = 16'000'000;
// A product of sides r, c and depth d reaches r/(r+h) * c/(c+h) * d/(d+h) of the speed of a large
// one: copying the factors into the library's layout costs as much as h rows (columns, depths) of
// multiplying.
constexpr double kHalfSpeedSide = 24;
constexpr double kStartSeconds = 0.05;
constexpr double kUnitSeconds = 0.0015;  // asking, landing, checking
constexpr double kHiddenTrafficWeight = 0.15;
constexpr double kUnitSecondsAim = 0.5;
constexpr double kLongUnitWeight = 0.06;  // for each doubling

double side_factor(std::uint64_t side) {
  const auto s = static_cast<double>(side);
  return s / (s + kHalfSpeedSide);
}

std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

// Sides worth trying for an extent: equal splits (no ragged edge), and a ladder for what splits do
// not reach.
std::vector<std::uint64_t> sides(std::uint64_t extent) {
  if (extent <= kSideMin) return {std::max<std::uint64_t>(extent, 1)};
  std::vector<std::uint64_t> out;
  constexpr std::array<std::uint64_t, 15> kSplits = {1,  2,  3,  4,  5,  6,  8, 10,
                                                     12, 16, 20, 24, 32, 48, 64};
  for (std::uint64_t split : kSplits) {
    const std::uint64_t side = round_up((extent - 1) / split + 1, split == 1 ? 1 : 16);
    if (side >= kSideMin) out.push_back(std::min(side, extent));
  }
  for (std::uint64_t side = kSideMin; side < extent && side < (1ULL << 30); side *= 2)
    for (std::uint64_t step : {side, side + side / 2})
      if (step < extent) out.push_back(step);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<std::uint64_t> depths(std::uint64_t k) {
  std::vector<std::uint64_t> out{std::max<std::uint64_t>(k, 1)};
  for (std::uint64_t depth = 8192; depth >= kSideMin; depth /= 2)
    if (depth < k) out.push_back(depth);
  return out;
}

class Chooser {
 public:
  Chooser(std::uint64_t memory_bytes, const SeatModel& seats, const StrassenUse& strassen)
      : memory_bytes_(memory_bytes), seats_(seats), strassen_(strassen) {}

  // Halved as often as it pays, fits and is exact enough.
  void consider(MatmulGeometry g) {
    g.strassen_levels = strassen_levels(g.rows(), g.depth(), g.columns(), strassen_.rule);
    for (; g.strassen_levels > 0; --g.strassen_levels) {
      if (error_bound(g) <= strassen_.error_max) consider_one(g);
    }
    consider_one(g);
  }
  [[nodiscard]] const std::optional<MatmulGeometry>& best() const { return best_; }

 private:
  void consider_one(const MatmulGeometry& g) {
    if (matmul_memory(g, seats_.threads).total_bytes() > memory_bytes_) return;
    const bool first =
        strassen_.wanted && best_ && g.strassen_levels > 0 && best_->strassen_levels == 0;
    if (strassen_.wanted && best_ && g.strassen_levels == 0 && best_->strassen_levels > 0) return;
    const double seconds = score(g);
    // Ties (within a thousandth) go to the geometry considered first: the larger tile.
    if (best_ && !first && seconds >= best_seconds_ * 0.999) return;
    best_ = g;
    best_seconds_ = seconds;
  }

  // Predicted time, and what it does not say: traffic that hides behind computing still takes the
  // coordinator's processor and the network from others; a long unit is what a pause, a cap or a
  // lost worker throws away.
  [[nodiscard]] double score(const MatmulGeometry& g) const {
    const TimeModel time = predict_time(g, seats_, strassen_.rule);
    const double unit = time.compute_seconds * std::max<std::uint32_t>(seats_.seats, 1) /
                        static_cast<double>(g.grid().units());
    const double loss =
        unit > kUnitSecondsAim ? kLongUnitWeight * std::log2(unit / kUnitSecondsAim) : 0;
    return (time.total_seconds() + kHiddenTrafficWeight * time.transfer_seconds) * (1 + loss);
  }

  std::uint64_t memory_bytes_;
  SeatModel seats_;
  StrassenUse strassen_;
  std::optional<MatmulGeometry> best_;
  double best_seconds_ = std::numeric_limits<double>::infinity();
};

void consider_depths(MatmulGeometry g, Chooser& chooser) {
  for (std::uint64_t depth : depths(g.k)) {
    g.panel_depth = depth;
    g.group_rows = 1;
    chooser.consider(g);
    if (!g.whole_panels()) continue;
    const std::uint64_t grid_rows = g.grid().grid_rows();
    for (std::uint64_t group = 2; group <= 64 && group / 2 < grid_rows; group *= 2) {
      g.group_rows = std::min(group, grid_rows);
      chooser.consider(g);
    }
  }
}

}  // namespace

double TimeModel::total_seconds() const {
  return std::max(compute_seconds, transfer_seconds) + overhead_seconds;
}

TimeModel predict_time(const MatmulGeometry& g, const SeatModel& seats, const StrassenRule& rule) {
  TimeModel time;
  const TileGrid grid = g.grid();
  if (grid.units() == 0) return time;
  const double count = std::max<std::uint32_t>(seats.seats, 1);
  const auto units = static_cast<double>(grid.units());
  const std::uint64_t group = std::min(g.group_rows, grid.grid_rows());
  const double ranges = std::ceil(units / static_cast<double>(group));
  const double efficiency =
      side_factor(g.rows()) * side_factor(g.columns()) * (g.k == 0 ? 1 : side_factor(g.depth()));
  const double halved =
      strassen_time(std::min({g.rows(), g.depth(), g.columns()}), g.strassen_levels, rule);
  const double even = halved * g.flops() / (seats.flops_per_second * efficiency);
  // Whole ranges are handed out: the last round may leave seats without one.
  time.compute_seconds = even * std::ceil(ranges / count) * count / ranges;
  const CommVolume volume = matmul_comm_volume(g, seats.seats);
  time.transfer_seconds =
      std::max(volume.bytes_to_workers, volume.bytes_from_workers) / seats.bytes_per_second;
  // Alone at both ends: the first panels of each seat before it begins, the last tile after it
  // ends, and half a unit for seats of unequal speed.
  const MatmulMemory memory = matmul_memory(g, seats.threads);
  const double ends =
      static_cast<double>(memory.a_block_bytes + memory.b_block_bytes + memory.c_tile_bytes) *
      count / seats.bytes_per_second;
  const double uneven = count > 1 ? 0.5 * even * count / units : 0;
  time.overhead_seconds = kStartSeconds + kUnitSeconds * units / count + ends + uneven;
  return time;
}

std::optional<MatmulGeometry> choose_tiles(std::uint64_t m, std::uint64_t k, std::uint64_t n,
                                           Precision precision, std::uint64_t memory_bytes,
                                           const SeatModel& seats, const StrassenUse& strassen) {
  MatmulGeometry g{.m = m, .k = k, .n = n, .precision = precision};
  if (m == 0 || n == 0) {
    g.panel_depth = std::max<std::uint64_t>(k, 1);
    return g;
  }
  Chooser chooser(memory_bytes, seats, strassen);
  std::vector<std::uint64_t> row_sides = sides(m);
  std::vector<std::uint64_t> column_sides = sides(n);
  for (auto rows = row_sides.rbegin(); rows != row_sides.rend(); ++rows) {
    for (auto columns = column_sides.rbegin(); columns != column_sides.rend(); ++columns) {
      g.tile_rows = *rows;
      g.tile_columns = *columns;
      const std::uint64_t tile_bytes =
          saturating_product(saturating_product(*rows, *columns), result_bytes(precision));
      const std::uint64_t units = saturating_product((m - 1) / *rows + 1, (n - 1) / *columns + 1);
      if (tile_bytes > tile_bytes_max(precision) || units > kUnitsMax) continue;
      consider_depths(g, chooser);
    }
  }
  return chooser.best();
}

std::uint64_t least_memory_bytes(std::uint64_t m, std::uint64_t k, std::uint64_t n,
                                 Precision precision, std::uint32_t threads) {
  const auto side = [](std::uint64_t extent) {
    return std::clamp<std::uint64_t>(extent, 1, kSideMin);
  };
  const MatmulGeometry g{.m = m,
                         .k = k,
                         .n = n,
                         .precision = precision,
                         .tile_rows = side(m),
                         .tile_columns = side(n),
                         .panel_depth = side(k)};
  return matmul_memory(g, threads).total_bytes();
}

}  // namespace overwinter::plan
