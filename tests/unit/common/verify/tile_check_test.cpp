#include "common/verify/tile_check.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/verify/row_kernels.h"
#include "tests/unit/common/verify/product.h"

namespace overwinter::verify {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class T>
Product<T> noise(std::uint64_t m, std::uint64_t k, std::uint64_t n, std::uint64_t tile) {
  Product<T> product(m, k, n, tile, tile);
  std::mt19937_64 random(m * 31 + k * 7 + n);
  fill(product.a, Values::kNoise, k, random);
  fill(product.b, Values::kNoise, n, random);
  return product;
}

template <class T>
bool accepted(const Product<T>& product, const FreivaldsSketch& sketch, UnitNumber unit,
              const std::vector<T>& c) {
  const auto verdict =
      check_tile<T>(sketch, product.geometry.grid().tile(unit), c, product.source());
  EXPECT_TRUE(verdict.has_value()) << (verdict ? "" : verdict.error().message);
  return verdict && verdict->accepted;
}

template <class T>
void expect_all_right(const Product<T>& product) {
  const FreivaldsSketch sketch = product.sketch(5);
  const plan::TileGrid grid = product.geometry.grid();
  for (UnitNumber unit = 0; unit < grid.units(); ++unit)
    EXPECT_TRUE(accepted(product, sketch, unit, product.tile(grid.tile(unit)))) << unit;
}

// Each element of each tile changed by a tenth of itself (or by one) is noticed, with odd values
// around.
void expect_every_change_is_seen(const Product<float>& product) {
  const FreivaldsSketch sketch = product.sketch(6);
  const plan::TileGrid grid = product.geometry.grid();
  for (UnitNumber unit = 0; unit < grid.units(); ++unit) {
    const std::vector<float> right = product.tile(grid.tile(unit));
    for (std::size_t i = 0; i < right.size(); ++i) {
      std::vector<float> wrong = right;
      wrong[i] = std::isfinite(right[i]) ? right[i] * 1.1F + 1 : 1;
      EXPECT_FALSE(accepted(product, sketch, unit, wrong)) << unit << " " << i;
      if (!std::isnan(right[i])) {
        wrong[i] = kNan;
        EXPECT_FALSE(accepted(product, sketch, unit, wrong)) << unit << " " << i;
      }
      if (right[i] != -kInf) {
        wrong[i] = -kInf;
        EXPECT_FALSE(accepted(product, sketch, unit, wrong)) << unit << " " << i;
      }
    }
  }
}

TEST(TileCheck, AnyShape) {
  for (auto [m, k, n] : {std::tuple(1, 50, 1), {1, 1, 40}, {40, 1, 1}, {30, 0, 30}, {17, 5, 29}}) {
    auto single = noise<float>(static_cast<std::uint64_t>(m), static_cast<std::uint64_t>(k),
                               static_cast<std::uint64_t>(n), 8);
    single.multiply();
    expect_all_right(single);
    expect_every_change_is_seen(single);
    auto twice = noise<double>(static_cast<std::uint64_t>(m), static_cast<std::uint64_t>(k),
                               static_cast<std::uint64_t>(n), 8);
    twice.multiply();
    expect_all_right(twice);
  }
}

TEST(TileCheck, EmptyProductsHaveASketch) {
  EXPECT_EQ(noise<float>(0, 5, 5, 2).sketch(1).blocks().size(), 0u);
  EXPECT_EQ(noise<float>(5, 5, 0, 2).sketch(1).blocks().size(), 0u);
}

TEST(TileCheck, NanAndInfinityInARowOfA) {
  auto product = noise<float>(12, 20, 15, 5);
  product.a[3 * 20 + 7] = kNan;
  product.a[8 * 20 + 1] = kInf;
  product.multiply();
  expect_all_right(product);
  expect_every_change_is_seen(product);
}

TEST(TileCheck, NanAndInfinityInAColumnOfBHideNothing) {
  auto product = noise<float>(12, 20, 15, 5);
  product.b[19 * 15 + 4] = kNan;  // in the last row: the builder asks for B again
  product.b[2 * 15 + 9] = -kInf;
  product.b[3 * 15 + 9] = kInf;  // both signs meet in column 9
  product.b[5 * 15 + 13] = kInf;
  product.multiply();
  expect_all_right(product);
  expect_every_change_is_seen(product);
}

TEST(TileCheck, NanNeedsNoMultiplying) {
  auto product = noise<float>(12, 20, 12, 12);
  for (std::size_t row = 0; row < 12; ++row) product.a[row * 20] = row % 2 == 0 ? kNan : 1;
  product.b[7] = kNan;
  product.multiply();
  FactorSource<float> none;
  none.read_a = none.read_b = [](auto...) { return error(Code::kInternal, "was asked"); };
  const auto verdict =
      check_tile<float>(product.sketch(2), product.geometry.grid().tile(0), product.c, none);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_TRUE(verdict->accepted);
  expect_every_change_is_seen(product);
}

TEST(TileCheck, ZeroTimesInfinityIsNan) {
  auto product = noise<float>(6, 4, 6, 3);
  std::fill(product.a.begin(), product.a.begin() + 4, 0.0F);
  product.b[1] = kInf;
  product.multiply();
  ASSERT_TRUE(std::isnan(product.c[1]));
  expect_all_right(product);
  expect_every_change_is_seen(product);
}

TEST(TileCheck, OverflowToInfinityIsRightAndInventedInfinityIsNot) {
  auto product = noise<float>(9, 16, 9, 4);
  for (std::size_t i = 0; i < 16; ++i) product.a[4 * 16 + i] = 3e38F;
  for (float& value : product.b) value = std::abs(value) + 1;
  product.multiply();
  ASSERT_EQ(product.c[4 * 9], kInf);
  expect_all_right(product);
  expect_every_change_is_seen(product);
}

TEST(TileCheck, Fp64OverflowAndOddValues) {
  auto product = noise<double>(9, 16, 9, 4);
  for (std::size_t i = 0; i < 16; ++i) product.a[4 * 16 + i] = 1e308;
  product.a[0] = std::numeric_limits<double>::quiet_NaN();
  product.b[17] = std::numeric_limits<double>::infinity();
  product.multiply();
  expect_all_right(product);
  // Finite norms that overflow: 1e200 squared.
  auto large = noise<double>(9, 16, 9, 4);
  for (double& value : large.a) value *= 1e200;
  large.multiply();
  expect_all_right(large);
  auto wrong = large.tile(large.geometry.grid().tile(0));
  wrong[3] *= 1.001;
  EXPECT_FALSE(accepted(large, large.sketch(3), 0, wrong));
}

TEST(TileCheck, TinyNumbersBelowTheSmallestNormalOne) {
  auto product = noise<float>(9, 16, 9, 4);
  for (float& value : product.a) value *= 1e-22F;
  for (float& value : product.b) value *= 1e-20F;
  product.multiply();
  expect_all_right(product);
}

// Under weights of +-1 half of these would pass.
TEST(TileCheck, TwoEqualErrorsInARowDoNotCancel) {
  auto product = noise<float>(8, 16, 8, 8);
  product.multiply();
  int caught = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<float> wrong = product.c;
    wrong[1] += 1;
    wrong[2] -= 1;
    caught += accepted(product, product.sketch(seed), 0, wrong) ? 0 : 1;
  }
  EXPECT_EQ(caught, 200);
}

TEST(TileCheck, WideTilesAreCutIntoBlocks) {
  auto product = noise<float>(3, 8, 5000, 4096);
  product.multiply();
  const FreivaldsSketch sketch = product.sketch(9);
  EXPECT_EQ(sketch.blocks().size(), 3u);
  expect_all_right(product);
  std::vector<float> wrong = product.tile(product.geometry.grid().tile(1));
  wrong.back() += 0.5F;
  EXPECT_FALSE(accepted(product, sketch, 1, wrong));
}

TEST(TileCheck, FeedsInAnyBlocksGiveTheSameSketch) {
  auto product = noise<float>(20, 30, 20, 6);
  product.multiply();
  const FreivaldsSketch one = product.sketch(4, 1);
  const FreivaldsSketch all = product.sketch(4, 30);
  EXPECT_EQ(one.alpha(), all.alpha());
  for (std::size_t j = 0; j < one.blocks().size(); ++j)
    for (std::uint64_t row = 0; row < 20; ++row) EXPECT_EQ(one.sums(j)[row], all.sums(j)[row]);
  EXPECT_LE(one.memory_bytes(), SketchBuilder::memory_bytes(product.geometry));
}

TEST(TileCheck, WrongSizesAndForeignTilesAreRefused) {
  auto product = noise<float>(10, 10, 10, 4);
  product.multiply();
  const FreivaldsSketch sketch = product.sketch(1);
  const plan::Tile tile = product.geometry.grid().tile(0);
  std::vector<float> c = product.tile(tile);
  c.pop_back();
  EXPECT_FALSE(check_tile<float>(sketch, tile, c, product.source()));
  EXPECT_FALSE(check_tile<float>(sketch, {1, 5, 0, 4}, product.tile(tile), product.source()));
  EXPECT_FALSE(check_tile<float>(sketch, {8, 12, 0, 4}, product.tile(tile), product.source()));
  EXPECT_FALSE(check_tile<double>(sketch, tile, std::vector<double>(16), {}));
}

TEST(TileCheck, AFailingSourceIsAnErrorNotAVerdict) {
  auto product = noise<float>(6, 6, 6, 6);
  product.a[0] = kInf;
  product.multiply();
  const FreivaldsSketch sketch = product.sketch(1);
  FactorSource<float> source = product.source();
  source.read_b = [](auto...) { return error(Code::kDataLoss, "gone"); };
  const auto verdict =
      check_tile<float>(sketch, product.geometry.grid().tile(0), product.c, source);
  ASSERT_FALSE(verdict.has_value());
  EXPECT_EQ(verdict.error().code, Code::kDataLoss);
}

template <class T>
void compare_kernels() {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  for (std::size_t count : {0U, 1U, 7U, 8U, 16U, 33U, 300U}) {
    std::vector<T> row(count);
    std::vector<double> y(5 * count);
    for (T& v : row) v = static_cast<T>(normal(random));
    for (double& v : y) v = normal(random);
    for (std::size_t vectors : {1U, 4U, 5U}) {
      std::vector<double> out(vectors);
      const double norm2 =
          row_times_vectors(row.data(), count, y.data(), count, vectors, out.data());
      for (std::size_t j = 0; j < vectors; ++j) {
        const RowSums twin = row_sums_reference(row.data(), y.data() + j * count, count);
        const RowSums fast = row_sums(row.data(), y.data() + j * count, count);
        EXPECT_NEAR(fast.dot, twin.dot, 1e-12 * static_cast<double>(count + 1));
        EXPECT_NEAR(fast.norm2, twin.norm2, 1e-12 * static_cast<double>(count + 1));
        EXPECT_NEAR(out[j], twin.dot, 1e-12 * static_cast<double>(count + 1));
        EXPECT_NEAR(norm2, twin.norm2, 1e-12 * static_cast<double>(count + 1));
      }
    }
  }
}

TEST(RowKernels, AgreeWithTheirTwins) {
  compare_kernels<float>();
  compare_kernels<double>();
}

}  // namespace
}  // namespace overwinter::verify
