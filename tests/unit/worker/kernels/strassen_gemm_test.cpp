// Strassen's method against the obvious twin: exactly, on whole numbers, and within its bound.
#include "worker/kernels/strassen_gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/kernels/openblas_gemm.h"
#include "worker/kernels/packed_weights.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kSmallest = 8;  // so that small products are halved three times

// Even, odd, rectangular; sides that divide by 8 and not, some too small for a level.
std::vector<GemmShape> strassen_shapes() {
  return {{8, 8, 8},    {64, 64, 64},  {65, 63, 67},   {127, 40, 90}, {16, 200, 33},
          {90, 17, 16}, {33, 129, 40}, {100, 100, 31}, {7, 64, 64},   {64, 64, 0}};
}

template <class T>
void round_to_whole(std::vector<T>& values) {
  for (T& x : values) x = std::round(x * T(3));
}

template <class T>
T largest(const std::vector<T>& values) {
  T most = 0;
  for (const T x : values) most = std::max(most, std::abs(x));
  return most;
}

// How far C may be off, alike for all elements.
template <class T>
double allowed(const GemmCase<T>& one, std::uint32_t levels) {
  const plan::StrassenBound bound = plan::strassen_bound(one.p.k, levels);
  const double unit = std::numeric_limits<T>::epsilon() / 2;
  return unit * (bound.product * std::abs(one.p.alpha) * largest(one.a) * largest(one.b) +
                 bound.before * std::abs(one.p.beta) * largest(one.c));
}

class Strassen : public ::testing::TestWithParam<std::uint32_t> {  // threads
 protected:
  Strassen() : team_(GetParam()), openblas_(team_) {}

  void use(StrassenGemm& strassen, std::uint32_t levels) {
    strassen.use(GemmType::kFp32, {kSmallest, levels});
    strassen.use(GemmType::kFp64, {kSmallest, levels});
  }

  // All transposes, alpha and beta of every kind.
  template <class T>
  void agree(StrassenGemm& strassen, bool whole) {
    std::uint32_t seed = 1;
    for (const GemmShape& s : strassen_shapes()) {
      for (int way = 0; way < 8; ++way) {
        GemmCase<T> one(s, (way & 1) != 0, (way & 2) != 0, seed++);
        if (way == 3) one.p.alpha = T(2);
        if (way >= 2 && way <= 5) one.p.beta = way == 4 ? T(1) : T(-2);
        if (way == 6) one.p.alpha = T(-3);
        if (way == 7) one.p.alpha = T(0);
        if (whole) {
          round_to_whole(one.a);
          round_to_whole(one.b);
          round_to_whole(one.c);
        }
        agree(strassen, one, whole);
      }
    }
  }

  template <class T>
  void agree(StrassenGemm& strassen, GemmCase<T>& one, bool whole) {
    const auto levels =
        plan::strassen_levels(one.p.m, one.p.k, one.p.n, strassen.rule(GemmTraits<T>::kType));
    const double most = whole ? 0 : allowed(one, levels);
    std::vector<T> want = one.c;
    Gemm<T> slow = one.p;
    slow.c = want.data();
    ASSERT_TRUE(reference_.gemm(slow).ok());
    one.p.c = one.c.data();
    ASSERT_TRUE(strassen.gemm(one.p).ok());
    for (std::size_t i = 0; i < want.size(); ++i) {
      const bool gap = i % one.p.ldc >= one.p.n || i / one.p.ldc >= one.p.m;
      ASSERT_LE(std::abs(static_cast<double>(want[i]) - static_cast<double>(one.c[i])),
                gap ? 0 : most)
          << "m " << one.p.m << " n " << one.p.n << " k " << one.p.k << " levels " << levels
          << " transposes " << one.p.transpose_a << one.p.transpose_b << " alpha " << one.p.alpha
          << " beta " << one.p.beta << " at " << i;
    }
  }

  ThreadTeam team_;
  OpenBlasGemm openblas_;
  ReferenceGemm reference_;
  HostResource memory_;
};

// Whole numbers are added and multiplied exactly: any sign or place that is wrong shows.
TEST_P(Strassen, IsExactOnWholeNumbers) {
  for (const std::uint32_t levels : {1U, 2U, 3U}) {
    StrassenGemm over_reference(reference_, team_, memory_);
    use(over_reference, levels);
    agree<float>(over_reference, true);
    StrassenGemm over_openblas(openblas_, team_, memory_);
    use(over_openblas, levels);
    agree<float>(over_openblas, true);
    agree<double>(over_openblas, true);
  }
}

TEST_P(Strassen, StaysWithinItsBound) {
  for (const std::uint32_t levels : {1U, 2U, 3U}) {
    StrassenGemm strassen(openblas_, team_, memory_);
    use(strassen, levels);
    agree<float>(strassen, false);
    agree<double>(strassen, false);
  }
}

// Rows, columns and inner parts of very different sizes, where the elementwise bound of plain
// products is passed.
TEST_P(Strassen, StaysWithinItsBoundOnBadlyScaledFactors) {
  StrassenGemm strassen(openblas_, team_, memory_);
  use(strassen, 2);
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    GemmCase<float> one({70, 50, 90}, (seed & 1U) != 0, (seed & 2U) != 0, seed);
    std::mt19937 random(seed);
    for (auto* values : {&one.a, &one.b}) {
      for (float& x : *values) x = std::ldexp(x, static_cast<int>(random() % 40U) - 20);
    }
    if (seed % 4 == 0) one.p.beta = 0.5F;
    agree(strassen, one, false);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Strassen, ::testing::Values(1U, 2U, 3U));

class StrassenMemory : public ::testing::Test {
 protected:
  ThreadTeam team_{2};
  OpenBlasGemm openblas_{team_};
  HostResource host_;
};

// The kernel checks that its temporaries fit what the formula gives; here that it takes no more.
TEST_F(StrassenMemory, TheWorkspaceIsWhatTheFormulaSays) {
  for (const GemmShape& s : strassen_shapes()) {
    for (const std::uint32_t levels : {1U, 2U, 3U}) {
      for (const bool adds : {false, true}) {
        LimitingResource memory(host_, 1UL << 30U, "the test");
        StrassenGemm strassen(openblas_, team_, memory);
        strassen.use(GemmType::kFp64, {kSmallest, levels});
        GemmCase<double> one(s, adds, !adds, 1);
        one.p.beta = adds ? 1 : 0;
        ASSERT_TRUE(strassen.gemm(one.p).ok());
        const std::uint32_t taken = plan::strassen_levels(s.m, s.k, s.n, {kSmallest, levels});
        EXPECT_EQ(memory.peak_bytes(),
                  plan::strassen_workspace_bytes(s.m, s.k, s.n, taken, sizeof(double), adds));
        ASSERT_TRUE(strassen.gemm(one.p).ok());  // kept
        EXPECT_EQ(memory.held_bytes(), memory.peak_bytes());
        strassen.release();
        EXPECT_EQ(memory.held_bytes(), 0U);
      }
    }
  }
}

TEST_F(StrassenMemory, WithoutRoomNothingHappens) {
  LimitingResource memory(host_, 1000, "the test");
  StrassenGemm strassen(openblas_, team_, memory);
  strassen.use(GemmType::kFp32, {kSmallest, 1});
  GemmCase<float> one({64, 64, 64}, false, false, 1);
  one.p.beta = 1;
  const std::vector<float> before = one.c;
  EXPECT_EQ(strassen.gemm(one.p).code, Code::kResourceExhausted);
  EXPECT_EQ(one.c, before);
  EXPECT_EQ(strassen.reserve(1001).code, Code::kResourceExhausted);
  EXPECT_TRUE(strassen.reserve(1000).ok());
}

TEST_F(StrassenMemory, NonFiniteAndHugeElementsGoWhereIeeeSays) {
  StrassenGemm strassen(openblas_, team_, host_);
  strassen.use(GemmType::kFp32, {kSmallest, 2});
  const float odd[] = {std::numeric_limits<float>::infinity(),
                       std::numeric_limits<float>::quiet_NaN(), 3e37F};
  for (const float value : odd) {
    for (const bool in_b : {false, true}) {
      GemmCase<float> one({33, 40, 50}, false, false, 7);
      one.p.beta = 1;
      if (in_b) {
        one.b[3 * one.p.ldb + 5] = value;
      } else {
        one.a[3 * one.p.lda + 5] = value;
      }
      std::vector<float> want = one.c;
      Gemm<float> plain = one.p;
      plain.c = want.data();
      ASSERT_TRUE(openblas_.gemm(plain).ok());
      ASSERT_TRUE(strassen.gemm(one.p).ok());
      for (std::size_t i = 0; i < want.size(); ++i) {
        EXPECT_TRUE(std::isnan(want[i]) ? std::isnan(one.c[i]) : one.c[i] == want[i]) << i;
      }
    }
  }
}

// Of C it is read element by element: what is not a number stays in its place.
TEST_F(StrassenMemory, ANanInCStaysWhereItIs) {
  StrassenGemm strassen(openblas_, team_, host_);
  strassen.use(GemmType::kFp32, {kSmallest, 2});
  GemmCase<float> one({40, 40, 40}, false, false, 7);
  one.p.beta = 1;
  for (const std::size_t at : {3UL, 30UL, 25 * one.p.ldc + 2, 27 * one.p.ldc + 33}) {
    one.c[at] = std::numeric_limits<float>::quiet_NaN();
  }
  ASSERT_TRUE(strassen.gemm(one.p).ok());
  EXPECT_EQ(std::ranges::count_if(one.c, [](float x) { return std::isnan(x); }), 4);
  one.p.beta = 0;  // not read
  ASSERT_TRUE(strassen.gemm(one.p).ok());
  EXPECT_EQ(std::ranges::count_if(one.c, [](float x) { return std::isnan(x); }), 0);
}

TEST_F(StrassenMemory, StopsBetweenProductsOfHalves) {
  StrassenGemm strassen(openblas_, team_, host_);
  strassen.use(GemmType::kFp32, {kSmallest, 2});
  GemmCase<float> one({40, 40, 40}, false, false, 7);
  std::stop_source stop;
  strassen.stop_on(stop.get_token());
  EXPECT_TRUE(strassen.gemm(one.p).ok());
  stop.request_stop();
  EXPECT_EQ(strassen.gemm(one.p).code, Code::kCancelled);
  strassen.stop_on({});
  EXPECT_TRUE(strassen.gemm(one.p).ok());
}

TEST_F(StrassenMemory, RefusesWhatIsWrongAndTakesKeptWeights) {
  StrassenGemm strassen(openblas_, team_, host_);
  strassen.use(GemmType::kFp32, {kSmallest, 2});
  GemmCase<float> one({40, 40, 40}, false, true, 7);
  const auto packed = strassen.pack(weights_of(one.p), host_);
  ASSERT_TRUE(packed.has_value());
  std::vector<float> want = one.c;
  Gemm<float> plain = one.p;
  plain.c = want.data();
  ASSERT_TRUE(strassen.gemm(plain).ok());
  one.p.packed = packed->get();
  one.p.b = nullptr;
  ASSERT_TRUE(strassen.gemm(one.p).ok());
  for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(one.c[i], want[i], 1e-4);
  one.p.lda = 1;
  EXPECT_EQ(strassen.gemm(one.p).code, Code::kInvalidArgument);
  EXPECT_EQ(strassen.gemm(Gemm<BFloat16>{}).code, Code::kUnimplemented);
}

}  // namespace
}  // namespace overwinter::worker
