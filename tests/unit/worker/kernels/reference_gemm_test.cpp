// The twin of products of narrow types, against plain arithmetic and what its header promises.
#include "worker/kernels/reference_gemm.h"

#include <gtest/gtest.h>

#include "tests/unit/worker/kernels/gemm_cases.h"

namespace overwinter::worker {
namespace {

// A fp32 product in the plainest order has to lie within the bound of the type: the bound is for
// whatever order, so also for the worst.
template <class T>
void plain_sums_stay_within_the_bound() {
  for (const GemmShape s : {GemmShape{9, 7, 1}, GemmShape{8, 9, 64}, GemmShape{5, 6, 4096}}) {
    GemmCase<T> one(s, false, false, 7);
    one.p.alpha = 1.7F;
    one.p.beta = 0.3F;
    expect_agrees(one, [](const Gemm<T>& p) {
      for (std::size_t i = 0; i < p.m; ++i) {
        for (std::size_t j = 0; j < p.n; ++j) {
          float sum = 0;
          for (std::size_t l = 0; l < p.k; ++l) {
            if constexpr (std::is_same_v<T, float>) {
              sum += p.a[i * p.lda + l] * p.b[l * p.ldb + j];
            } else {
              sum += to_float(p.a[i * p.lda + l]) * to_float(p.b[l * p.ldb + j]);
            }
          }
          float& c = p.c[i * p.ldc + j];
          c = p.alpha * sum + p.beta * c;
        }
      }
      return Status::success();
    });
  }
}

TEST(ReferenceGemm, SumsInFp32StayWithinTheBoundOfEachType) {
  plain_sums_stay_within_the_bound<float>();
  plain_sums_stay_within_the_bound<BFloat16>();
  plain_sums_stay_within_the_bound<Float16>();
}

TEST(ReferenceGemm, AFactorRoundedToBf16CostsWhatNarrowHSays) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int i = 0; i < 1000; ++i) {
    const float a = uniform(random);
    const float b = uniform(random);
    const double exact = static_cast<double>(a) * static_cast<double>(b);
    const auto off = [&](double got, double unit) {
      return std::abs(got - exact) <= (2 * unit + unit * unit) * std::abs(exact);
    };
    EXPECT_TRUE(off(as_double(to_bfloat16(a)) * as_double(to_bfloat16(b)), 0x1p-8));
    EXPECT_TRUE(off(as_double(to_float16(a)) * as_double(to_float16(b)), 0x1p-11) ||
                std::abs(a) < 0x1p-14F || std::abs(b) < 0x1p-14F);
  }
}

TEST(ReferenceGemm, Int8IsExactModulo32Bits) {
  // 140,000 terms of (-128)^2 are 2,293,760,000: above 2^31.
  const std::size_t k = 140'000;
  const std::vector<std::int8_t> ones(k, -128);
  std::int32_t c = 0;
  Gemm<std::int8_t> p;
  p.m = p.n = p.ldb = p.ldc = 1;
  p.k = p.lda = k;
  p.a = ones.data();
  p.b = ones.data();
  p.c = &c;
  ASSERT_TRUE(ReferenceGemm().gemm(p).ok());
  EXPECT_EQ(static_cast<std::uint32_t>(c), 2'293'760'000U);
  p.alpha = -3;
  p.beta = 5;
  c = 7;
  ASSERT_TRUE(ReferenceGemm().gemm(p).ok());
  EXPECT_EQ(static_cast<std::uint32_t>(c), 35U - 3U * 2'293'760'000U);
}

TEST(ReferenceGemm, AlphaOfZeroReadsNoFactorAndBetaOfZeroNoC) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const BFloat16 bad = to_bfloat16(nan);
  float c = 2;
  Gemm<BFloat16> p;
  p.m = p.n = p.k = p.lda = p.ldb = p.ldc = 1;
  p.a = p.b = &bad;
  p.c = &c;
  p.alpha = 0;
  p.beta = 3;
  ASSERT_TRUE(ReferenceGemm().gemm(p).ok());
  EXPECT_EQ(c, 6);
  p.alpha = 1;
  ASSERT_TRUE(ReferenceGemm().gemm(p).ok());
  EXPECT_TRUE(std::isnan(c));
}

}  // namespace
}  // namespace overwinter::worker
