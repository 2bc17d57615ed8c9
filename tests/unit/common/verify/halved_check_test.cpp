// Tiles of a product that was halved: an honest one is never refused, however badly its rows and
// columns are scaled, and a wrong one is.
#include <gtest/gtest.h>

#include "tests/unit/common/verify/product.h"

namespace overwinter::verify {
namespace {

// Row-major, dense.
template <class T>
struct Square {
  std::size_t side = 0;
  std::vector<T> values;
};

template <class T>
Square<T> plus(const Square<T>& a, const Square<T>& b, T sign = 1) {
  Square<T> sum = a;
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += sign * b.values[i];
  return sum;
}

template <class T>
Square<T> quarter(const Square<T>& of, std::size_t row, std::size_t column) {
  const std::size_t half = of.side / 2;
  Square<T> out{half, {}};
  for (std::size_t i = 0; i < half; ++i)
    for (std::size_t j = 0; j < half; ++j)
      out.values.push_back(of.values[(row * half + i) * of.side + column * half + j]);
  return out;
}

// Winograd's form, as Higham writes it (§23.1).
template <class T>
Square<T> halved(const Square<T>& a, const Square<T>& b, int levels) {
  Square<T> c{a.side, std::vector<T>(a.values.size())};
  if (levels == 0) {
    for (std::size_t i = 0; i < a.side; ++i)
      for (std::size_t l = 0; l < a.side; ++l)
        for (std::size_t j = 0; j < a.side; ++j)
          c.values[i * a.side + j] += a.values[i * a.side + l] * b.values[l * a.side + j];
    return c;
  }
  const auto a11 = quarter(a, 0, 0), a12 = quarter(a, 0, 1), a21 = quarter(a, 1, 0),
             a22 = quarter(a, 1, 1);
  const auto b11 = quarter(b, 0, 0), b12 = quarter(b, 0, 1), b21 = quarter(b, 1, 0),
             b22 = quarter(b, 1, 1);
  const auto s1 = plus(a21, a22), s2 = plus(s1, a11, T(-1)), s3 = plus(a11, a21, T(-1)),
             s4 = plus(a12, s2, T(-1));
  const auto t1 = plus(b12, b11, T(-1)), t2 = plus(b22, t1, T(-1)), t3 = plus(b22, b12, T(-1)),
             t4 = plus(t2, b21, T(-1));
  const auto times = [&](const Square<T>& x, const Square<T>& y) {
    return halved(x, y, levels - 1);
  };
  const auto p1 = times(a11, b11);
  const auto u2 = plus(p1, times(s2, t2));
  const auto u3 = plus(u2, times(s3, t3));
  const auto p5 = times(s1, t1);
  const auto c11 = plus(p1, times(a12, b21)), c12 = plus(plus(u2, p5), times(s4, b22)),
             c21 = plus(u3, times(a22, t4), T(-1)), c22 = plus(u3, p5);
  const std::size_t half = a.side / 2;
  for (std::size_t i = 0; i < half; ++i)
    for (std::size_t j = 0; j < half; ++j) {
      c.values[i * a.side + j] = c11.values[i * half + j];
      c.values[i * a.side + half + j] = c12.values[i * half + j];
      c.values[(half + i) * a.side + j] = c21.values[i * half + j];
      c.values[(half + i) * a.side + half + j] = c22.values[i * half + j];
    }
  return c;
}

constexpr std::uint64_t kSide = 128;

enum class Scales { kEven, kRows, kColumns, kBoth, kAZeroRow };

template <class T>
Product<T> halved_product(Scales scales, Values values, std::uint32_t levels, std::uint64_t seed) {
  Product<T> product(kSide, kSide, kSide, kSide, kSide);
  product.geometry.strassen_levels = levels;
  std::mt19937_64 random(seed);
  fill(product.a, values, kSide, random);
  fill(product.b, values, kSide, random);
  const auto scale = [&] { return std::ldexp(T(1), static_cast<int>(random() % 24) - 12); };
  for (std::uint64_t i = 0; i < kSide; ++i) {
    const T row = scales == Scales::kRows || scales == Scales::kBoth ? scale() : T(1);
    const T column = scales == Scales::kColumns || scales == Scales::kBoth ? scale() : T(1);
    for (std::uint64_t l = 0; l < kSide; ++l) {
      product.a[i * kSide + l] *= scales == Scales::kAZeroRow && i % 3 == 0 ? T(0) : row;
      product.b[l * kSide + i] *= column;
    }
  }
  product.c = halved<T>({kSide, product.a}, {kSide, product.b}, static_cast<int>(levels)).values;
  return product;
}

template <class T>
bool is_accepted(const Product<T>& product, std::uint64_t seed) {
  const auto verdict = check_tile<T>(product.sketch(seed), product.geometry.grid().tile(0),
                                     product.c, product.source());
  EXPECT_TRUE(verdict.has_value());
  return verdict && verdict->accepted;
}

template <class T>
void honest_tiles_are_accepted() {
  for (const Scales scales :
       {Scales::kEven, Scales::kRows, Scales::kColumns, Scales::kBoth, Scales::kAZeroRow})
    for (const Values values : {Values::kNoise, Values::kPositive, Values::kIntegers})
      for (const std::uint32_t levels : {1U, 2U, 3U})
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
          const auto product = halved_product<T>(scales, values, levels, seed);
          EXPECT_TRUE(is_accepted(product, seed))
              << static_cast<int>(scales) << static_cast<int>(values) << " " << levels;
        }
}

TEST(HalvedCheck, HonestTilesAreAcceptedHoweverTheyAreScaled) {
  honest_tiles_are_accepted<float>();
  honest_tiles_are_accepted<double>();
}

// Why the check has to know: by a plain product's measure the same tile is wrong.
TEST(HalvedCheck, APlainProductsMeasureRefusesThem) {
  auto product = halved_product<float>(Scales::kRows, Values::kNoise, 2, 1);
  product.geometry.strassen_levels = 0;
  EXPECT_FALSE(is_accepted(product, 1));
}

TEST(HalvedCheck, AWrongElementIsSeenWhereElementsAreAlike) {
  for (const std::uint32_t levels : {1U, 2U, 3U})
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      auto product = halved_product<float>(Scales::kEven, Values::kNoise, levels, seed);
      // sqrt(k) is how large an element is.
      product.c[seed * 397 % product.c.size()] += 0.2F * std::sqrt(static_cast<float>(kSide));
      EXPECT_FALSE(is_accepted(product, seed)) << levels << " " << seed;
    }
}

// A huge row cannot make the others' errors look small.
TEST(HalvedCheck, AWrongTileIsNotAcceptedForItsOwnSize) {
  auto product = halved_product<float>(Scales::kEven, Values::kNoise, 3, 1);
  for (std::size_t i = 0; i < kSide; ++i) product.c[5 * kSide + i] = 1e6F;
  EXPECT_FALSE(is_accepted(product, 1));
  product.c.assign(product.c.size(), 1e6F);
  EXPECT_FALSE(is_accepted(product, 1));
  product.c.assign(product.c.size(), 0);
  EXPECT_FALSE(is_accepted(product, 1));
}

}  // namespace
}  // namespace overwinter::verify
