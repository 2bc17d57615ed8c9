// Wrong tiles planted by the thousand, and right ones that must raise no alarm.
#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <map>
#include <string>

#include "tests/unit/common/verify/product.h"

namespace overwinter::verify {
namespace {

constexpr int kPerKind = 10'000;

struct Shape {
  std::uint64_t m, k, n, tile_rows, tile_columns;
  Values a, b;
};

// Tiles are square where they can be, so that a transposed one has the right size.
constexpr Shape kShapes[] = {
    {96, 128, 96, 16, 16, Values::kNoise, Values::kNoise},
    {80, 300, 64, 16, 16, Values::kPositive, Values::kPositive},
    {72, 64, 120, 24, 24, Values::kScaled, Values::kNoise},
    {100, 33, 50, 20, 20, Values::kIntegers, Values::kIntegers},
    {64, 1, 64, 16, 16, Values::kNoise, Values::kPositive},
    {12, 700, 200, 6, 100, Values::kNoise, Values::kScaled},
};

enum class Kind { kFlip, kZero, kStale, kSwapped, kTransposed };
constexpr std::pair<Kind, const char*> kKinds[] = {{Kind::kFlip, "bit flip"},
                                                   {Kind::kZero, "zero tile"},
                                                   {Kind::kStale, "stale tile"},
                                                   {Kind::kSwapped, "swapped tiles"},
                                                   {Kind::kTransposed, "transposed tile"}};

template <class T>
struct Case {
  Product<T> product;
  Product<T> old;  // the same sizes, other numbers: what a stale tile comes from
  FreivaldsSketch sketch;
  std::vector<long double> exact;
};

template <class T>
Case<T> make_case(const Shape& s, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Product<T> product(s.m, s.k, s.n, s.tile_rows, s.tile_columns);
  Product<T> old = product;
  for (Product<T>* p : {&product, &old}) {
    fill(p->a, s.a, s.k, random);
    fill(p->b, s.b, s.n, random);
    p->multiply(64 + seed % 3 * 40);
  }
  FreivaldsSketch sketch = product.sketch(seed);
  auto exact = product.exact();
  return {std::move(product), std::move(old), std::move(sketch), std::move(exact)};
}

template <class T>
std::vector<T> planted(const Case<T>& c, Kind kind, UnitNumber unit, std::mt19937_64& random) {
  const plan::TileGrid grid = c.product.geometry.grid();
  const plan::Tile tile = grid.tile(unit);
  std::vector<T> wrong = c.product.tile(tile);
  switch (kind) {
    case Kind::kFlip: {
      using Bits = std::conditional_t<std::is_same_v<T, float>, std::uint32_t, std::uint64_t>;
      T& element = wrong[random() % wrong.size()];
      const auto bit = 16 + random() % (sizeof(T) * 8 - 16);
      element = std::bit_cast<T>(std::bit_cast<Bits>(element) ^ (Bits{1} << bit));
      break;
    }
    case Kind::kZero:
      std::fill(wrong.begin(), wrong.end(), T(0));
      break;
    case Kind::kStale:
      wrong = c.old.tile(tile);
      break;
    case Kind::kSwapped: {
      const plan::Tile other = grid.tile((unit + 1 + random() % (grid.units() - 1)) % grid.units());
      if (other.elements() == tile.elements()) wrong = c.product.tile(other);
      break;
    }
    case Kind::kTransposed:
      if (tile.rows() != tile.columns()) break;
      for (std::uint64_t i = 0; i < tile.rows(); ++i)
        for (std::uint64_t j = 0; j < i; ++j)
          std::swap(wrong[i * tile.columns() + j], wrong[j * tile.columns() + i]);
      break;
  }
  return wrong;
}

// The largest of (wrong - right) / rounding error over the tile's rows, where a row's rounding
// error is the root mean square of what the right tile is off by, and at least that of storing one
// value.
template <class T>
double times_rounding(const Case<T>& c, const plan::Tile& tile, const std::vector<T>& wrong) {
  const auto u = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  const std::vector<T> right = c.product.tile(tile);
  double worst = 0;
  for (std::uint64_t i = 0; i < tile.rows(); ++i) {
    double error2 = 0, size2 = 0, off = 0;
    for (std::uint64_t j = 0; j < tile.columns(); ++j) {
      const long double exact =
          c.exact[(tile.row_begin + i) * c.product.geometry.n + tile.column_begin + j];
      const std::size_t at = i * tile.columns() + j;
      const auto error = static_cast<double>(static_cast<long double>(right[at]) - exact);
      error2 += error * error;
      size2 += static_cast<double>(exact * exact);
      const double d = std::abs(static_cast<double>(wrong[at]) - static_cast<double>(right[at]));
      off = std::isnan(d) ? INFINITY : std::max(off, d);
    }
    const auto columns = static_cast<double>(tile.columns());
    const double rounding = std::max(std::sqrt(error2 / columns), u * std::sqrt(size2 / columns));
    if (off > 0) worst = std::max(worst, off / rounding);
  }
  return worst;
}

struct Tally {
  int planted = 0;
  int missed = 0;
  int missed_large = 0;  // off by more than 1,000 rounding errors
  double largest_missed = 0;
};

template <class T>
void plant_in(const Case<T>& c, Kind kind, int count, std::mt19937_64& random, Tally& tally) {
  const plan::TileGrid grid = c.product.geometry.grid();
  const FactorSource<T> source = c.product.source();
  for (int tries = 4 * count; tries > 0 && count > 0; --tries) {
    const UnitNumber unit = random() % grid.units();
    const plan::Tile tile = grid.tile(unit);
    const std::vector<T> wrong = planted(c, kind, unit, random);
    const double times = times_rounding(c, tile, wrong);
    if (times == 0) continue;  // nothing was changed: a zero flipped to -0, equal tiles
    --count;
    const auto verdict = check_tile<T>(c.sketch, tile, wrong, source);
    ASSERT_TRUE(verdict.has_value()) << verdict.error().message;
    ++tally.planted;
    if (!verdict->accepted) continue;
    ++tally.missed;
    tally.largest_missed = std::max(tally.largest_missed, times);
    if (times > 1000) ++tally.missed_large;
  }
}

template <class T>
void plant_all(const char* precision) {
  std::vector<Case<T>> cases;
  for (std::uint64_t i = 0; i < std::size(kShapes); ++i)
    cases.push_back(make_case<T>(kShapes[i], 40 + i));
  std::mt19937_64 random(7);
  for (const auto& [kind, name] : kKinds) {
    Tally tally;
    // Five shapes have square tiles; the sixth takes no transposed ones.
    const std::size_t shapes = kind == Kind::kTransposed ? 5 : std::size(kShapes);
    const int each = (kPerKind + static_cast<int>(shapes) - 1) / static_cast<int>(shapes);
    for (std::size_t i = 0; i < shapes; ++i) plant_in(cases[i], kind, each, random, tally);
    std::printf(
        "%s %-16s planted %d, missed %d (%.3f %%), of them off by more than 1,000 x the "
        "rounding error: %d; the largest missed was off by %.0f x\n",
        precision, name, tally.planted, tally.missed, 100.0 * tally.missed / tally.planted,
        tally.missed_large, tally.largest_missed);
    EXPECT_GE(tally.planted, kPerKind);
    EXPECT_EQ(tally.missed_large, 0) << name;
    // Of whole wrong tiles none is that close to the right one.
    if (kind != Kind::kFlip) {
      EXPECT_EQ(tally.missed, 0) << name;
    }
    // Guards against a check that lets everything through as small.
    EXPECT_LT(tally.missed, tally.planted / 2) << name;
  }
}

TEST(PlantedTiles, Fp32) {
  plant_all<float>("fp32");
}
TEST(PlantedTiles, Fp64) {
  plant_all<double>("fp64");
}

template <class T>
void check_right_tiles(int count) {
  int checked = 0;
  std::uint64_t again = 0;
  for (std::uint64_t round = 0; checked < count; ++round) {
    const auto values = [](std::uint64_t i) { return static_cast<Values>(i % 4); };
    const std::uint64_t k = 1 + (round * 53) % 257;
    Product<T> product(84, k, 90, 6 + round % 5, 5 + round % 7);
    std::mt19937_64 random(1000 + round);
    fill(product.a, values(round), k, random);
    fill(product.b, values(round / 4), 90, random);
    product.multiply(16 + 32 * (round % 4));
    const FreivaldsSketch sketch = product.sketch(round, 1 + round % 50);
    const FactorSource<T> source = product.source();
    const plan::TileGrid grid = product.geometry.grid();
    for (UnitNumber unit = 0; unit < grid.units(); ++unit, ++checked) {
      const plan::Tile tile = grid.tile(unit);
      const auto verdict = check_tile<T>(sketch, tile, product.tile(tile), source);
      ASSERT_TRUE(verdict.has_value());
      ASSERT_TRUE(verdict->accepted) << "round " << round << " unit " << unit;
      again += verdict->rows_multiplied_again;
    }
  }
  std::printf("%d right tiles, no false alarm, %llu rows multiplied again\n", checked,
              static_cast<unsigned long long>(again));
}

TEST(RightTiles, RaiseNoAlarmInFp32) {
  check_right_tiles<float>(10'000);
}
TEST(RightTiles, RaiseNoAlarmInFp64) {
  check_right_tiles<double>(10'000);
}

}  // namespace
}  // namespace overwinter::verify
