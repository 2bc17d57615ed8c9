// Narrow types by fp32 against the twin: bf16 and fp16 within their bound, int8 to the bit.
#include "worker/kernels/widened_gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/kernels/onednn_gemm.h"
#include "worker/kernels/openblas_gemm.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

class Widened : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  ThreadTeam team_{GetParam()};
  HostResource memory_;
  OpenBlasGemm openblas_{team_};
  OneDnnGemm onednn_{team_, memory_};
};

TEST_P(Widened, AgreesWithTheTwinOverEitherLibrary) {
  for (GemmBackend* wide : std::initializer_list<GemmBackend*>{&openblas_, &onednn_}) {
    WidenedGemm widened(*wide, team_, memory_);
    std::uint32_t seed = 1;
    for (const GemmShape& s : gemm_shapes()) {
      agree<BFloat16>(widened, s, seed);
      agree<Float16>(widened, s, seed);
      agree<std::int8_t>(widened, s, seed++);
    }
  }
}

TEST_P(Widened, AgreesWhereAProductHasSeveralBlocks) {
  WidenedGemm widened(onednn_, team_, memory_);
  for (const GemmShape& s : {GemmShape{2, 1030, 1100}, GemmShape{1050, 2, 1040}}) {
    GemmCase<BFloat16> one(s, true, true, 3);
    one.p.alpha = 2;
    one.p.beta = -1;
    expect_agrees(one, [&](const Gemm<BFloat16>& p) { return widened.gemm(p); });
    GemmCase<std::int8_t> whole(s, false, true, 4);
    whole.p.alpha = -3;
    whole.p.beta = 5;
    expect_agrees(whole, [&](const Gemm<std::int8_t>& p) { return widened.gemm(p); });
  }
}

template <class T>
void kept_agrees(WidenedGemm& widened, MemoryResource& memory, GemmShape s, bool transpose) {
  GemmCase<T> one(s, transpose, transpose, 5);
  const auto packed = widened.pack(weights_of(one.p), memory);
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ((*packed)->bytes(), s.k * s.n * sizeof(float));
  expect_agrees(one, [&](const Gemm<T>& p) {
    Gemm<T> kept = p;
    kept.packed = packed->get();
    kept.b = nullptr;
    return widened.gemm(kept);
  });
}

TEST_P(Widened, KeptWeightsAgreeWithTheTwin) {
  WidenedGemm widened(openblas_, team_, memory_);
  for (const bool transpose : {false, true}) {
    for (const GemmShape& s : {GemmShape{20, 50, 30}, GemmShape{3, 1030, 1500}}) {
      kept_agrees<BFloat16>(widened, memory_, s, transpose);
      kept_agrees<Float16>(widened, memory_, s, transpose);
      kept_agrees<std::int8_t>(widened, memory_, s, transpose);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Widened, ::testing::Values(1U, 3U));

TEST(WidenedGemm, Int8OfTheLargestSizesIsExact) {
  ThreadTeam team(2);
  HostResource memory;
  OneDnnGemm onednn(team, memory);
  WidenedGemm widened(onednn, team, memory);
  GemmCase<std::int8_t> one({17, 33, 4096}, false, true, 1);
  std::fill(one.a.begin(), one.a.end(), static_cast<std::int8_t>(-128));
  std::fill(one.b.begin(), one.b.end(), static_cast<std::int8_t>(-128));
  one.b[3] = 127;
  one.b[4000] = -127;
  expect_agrees(one, [&](const Gemm<std::int8_t>& p) { return widened.gemm(p); });
}

TEST(WidenedGemm, NonFiniteValuesAreCarriedAsIeeeSays) {
  ThreadTeam team(1);
  HostResource memory;
  OpenBlasGemm openblas(team);
  WidenedGemm widened(openblas, team, memory);
  GemmCase<Float16> one({8, 8, 8}, false, false, 2);
  std::fill(one.a.begin(), one.a.end(), Float16{});
  one.b[5] = to_float16(std::numeric_limits<float>::infinity());
  one.b[one.p.ldb + 6] = to_float16(std::numeric_limits<float>::quiet_NaN());
  ASSERT_TRUE(widened.gemm(one.p).ok());
  EXPECT_TRUE(std::isnan(one.c[5]));
  EXPECT_TRUE(std::isnan(one.c[6]));
  EXPECT_EQ(one.c[4], 0.0F);
}

TEST(WidenedGemm, SaysWhenThereIsNoRoomForItsBlocks) {
  ThreadTeam team(1);
  HostResource memory;
  LimitingResource little(memory, 1U << 20U, "the test");
  OpenBlasGemm openblas(team);
  WidenedGemm widened(openblas, team, little);
  GemmCase<BFloat16> one({8, 8, 8}, false, false, 2);
  EXPECT_EQ(widened.gemm(one.p).code, Code::kResourceExhausted);
  EXPECT_EQ(widened.gemm(Gemm<float>{}).code, Code::kUnimplemented);
}

}  // namespace
}  // namespace overwinter::worker
