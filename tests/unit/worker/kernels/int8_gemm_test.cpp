// Products of int8 to the bit, whatever is cut where.
#include "worker/kernels/int8_gemm.h"

#include <gtest/gtest.h>

#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

class ByInt16 : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void SetUp() override {
    if (!gemm_.supports(GemmType::kInt8)) GTEST_SKIP() << "this processor has no AVX2";
  }
  ThreadTeam team_{GetParam()};
  HostResource memory_;
  Int8Gemm gemm_{team_, memory_};
};

TEST_P(ByInt16, AgreesWithTheTwin) {
  std::uint32_t seed = 1;
  for (const GemmShape& s : gemm_shapes()) agree<std::int8_t>(gemm_, s, seed++);
}

TEST_P(ByInt16, AgreesWhereAProductHasSeveralBlocks) {
  for (const GemmShape& s : {GemmShape{100, 1030, 90}, GemmShape{7, 33, 2049},
                             GemmShape{200, 20, 1025}, GemmShape{97, 513, 1026}}) {
    for (int way = 0; way < 4; ++way) {
      GemmCase<std::int8_t> one(s, (way & 1) != 0, (way & 2) != 0, 3);
      one.p.alpha = -3;
      one.p.beta = 5;
      expect_agrees(one, [&](const Gemm<std::int8_t>& p) { return gemm_.gemm(p); });
    }
  }
}

TEST_P(ByInt16, KeptWeightsAgreeWithTheTwin) {
  for (const bool transpose : {false, true}) {
    for (const GemmShape& s : {GemmShape{20, 50, 31}, GemmShape{3, 1030, 1500}, GemmShape{1, 1, 1},
                               GemmShape{5, 0, 3}, GemmShape{5, 3, 0}}) {
      GemmCase<std::int8_t> one(s, transpose, transpose, 5);
      const auto packed = gemm_.pack(weights_of(one.p), memory_);
      ASSERT_TRUE(packed.has_value());
      EXPECT_EQ((*packed)->bytes(), (s.n + 15) / 16 * 16 * ((s.k + 1) / 2 * 2));
      expect_agrees(one, [&](const Gemm<std::int8_t>& p) {
        Gemm<std::int8_t> kept = p;
        kept.packed = packed->get();
        kept.b = nullptr;
        return gemm_.gemm(kept);
      });
    }
  }
}

// A pair of -128 x -128 is 2^15: just beyond int16, which is why sums are int32 at once.
TEST_P(ByInt16, TheLargestProductsAreExact) {
  const std::size_t k = 2000;
  const std::vector<std::int8_t> a(10 * k, -128);
  std::vector<std::int32_t> c(10 * 20);
  Gemm<std::int8_t> p;
  p.m = 10;
  p.n = 20;
  p.k = p.lda = k;
  p.a = a.data();
  const std::vector<std::int8_t> b(k * 20, -128);
  p.b = b.data();
  p.ldb = p.ldc = 20;
  p.c = c.data();
  ASSERT_TRUE(gemm_.gemm(p).ok());
  for (const std::int32_t sum : c) EXPECT_EQ(sum, 16'384 * 2000);
}

TEST_P(ByInt16, RefusesWhatItDoesNotHave) {
  EXPECT_EQ(gemm_.gemm(Gemm<float>()).code, Code::kUnimplemented);
  EXPECT_EQ(gemm_.gemm(Gemm<double>()).code, Code::kUnimplemented);
  EXPECT_EQ(gemm_.gemm(Gemm<BFloat16>()).code, Code::kUnimplemented);
  GemmCase<std::int8_t> one({3, 4, 5}, false, false, 1);
  one.p.lda = 4;
  EXPECT_EQ(gemm_.gemm(one.p).code, Code::kInvalidArgument);
  LimitingResource none(memory_, 1000, "the test");
  Int8Gemm poor(team_, none);
  one.p.lda = 8;
  EXPECT_EQ(poor.gemm(one.p).code, Code::kResourceExhausted);
}

INSTANTIATE_TEST_SUITE_P(Threads, ByInt16, ::testing::Values(1U, 3U));

}  // namespace
}  // namespace overwinter::worker
