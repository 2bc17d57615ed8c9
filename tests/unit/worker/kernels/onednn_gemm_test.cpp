// oneDNN against the twin, and that it stays on its seat's threads and within the charged memory.
#include "worker/kernels/onednn_gemm.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <vector>

#include "common/plan/memory_estimate.h"
#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"

namespace overwinter::worker {
namespace {

// Pairs of products of these fit 16 bits, so every processor's kernels are exact.
constexpr int kInt8Small = 63;

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator all("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t resident_now() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0;
  unsigned long resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

class OneDnn : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  ThreadTeam team_{GetParam()};
  HostResource memory_;
  OneDnnGemm onednn_{team_, memory_};
};

TEST_P(OneDnn, AgreesWithTheTwin) {
  std::uint32_t seed = 1;
  for (const GemmShape& s : gemm_shapes()) {
    agree<float>(onednn_, s, seed);
    agree<std::int8_t>(onednn_, s, seed,
                       onednn_.supports(GemmType::kInt8) ? kInt8Whole : kInt8Small);
    if (onednn_.supports(GemmType::kBf16)) agree<BFloat16>(onednn_, s, seed);
    if (onednn_.supports(GemmType::kFp16)) agree<Float16>(onednn_, s, seed);
    ++seed;
  }
}

template <class T>
void packed_agrees(OneDnnGemm& onednn, MemoryResource& memory, GemmShape s, std::size_t rows_hint) {
  for (const bool transpose : {false, true}) {
    GemmCase<T> one(s, !transpose, transpose, 11, kInt8Small);
    GemmWeights weights = weights_of(one.p);
    weights.rows = rows_hint;
    const auto packed = onednn.pack(weights, memory);
    ASSERT_TRUE(packed.has_value()) << packed.error().message;
    EXPECT_GE((*packed)->bytes(), s.k * s.n * sizeof(T));
    std::fill(one.b.begin(), one.b.end(), T());  // it may go
    one.p.alpha = 3;
    one.p.beta = -1;
    one.p.packed = packed->get();
    one.p.b = nullptr;
    GemmCase<T> again(s, !transpose, transpose, 11, kInt8Small);
    again.p.alpha = 3;
    again.p.beta = -1;
    expect_agrees(again, [&](const Gemm<T>& p) {
      Gemm<T> kept = one.p;
      kept.c = p.c;
      return onednn.gemm(kept);
    });
  }
}

TEST_P(OneDnn, KeptWeightsAgreeWithTheTwin) {
  for (const GemmShape& s : gemm_shapes()) {
    for (const std::size_t rows : {std::size_t{0}, s.m, std::size_t{1000}}) {
      packed_agrees<float>(onednn_, memory_, s, rows);
      packed_agrees<std::int8_t>(onednn_, memory_, s, rows);
      if (onednn_.supports(GemmType::kBf16)) packed_agrees<BFloat16>(onednn_, memory_, s, rows);
    }
  }
}

TEST_P(OneDnn, StartsNoThreads) {
  const std::size_t before = threads_of_this_process();
  const GemmShape large{260, 260, 260};  // for OpenMP's threads, if it had them
  GemmCase<float> one(large, false, false, 1);
  ASSERT_TRUE(onednn_.gemm(one.p).ok());
  GemmCase<std::int8_t> whole(large, false, false, 1);
  ASSERT_TRUE(onednn_.gemm(whole.p).ok());
  const auto packed = onednn_.pack(weights_of(one.p), memory_);
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ(threads_of_this_process(), before);
}

INSTANTIATE_TEST_SUITE_P(Threads, OneDnn, ::testing::Values(1U, 2U, 3U));

TEST(OneDnnGemm, NonFiniteValuesAreCarriedAsIeeeSays) {
  ThreadTeam team(1);
  HostResource memory;
  OneDnnGemm onednn(team, memory);
  for (const std::size_t m : {1U, 4U, 64U}) {
    GemmCase<float> one({m, 64, 64}, false, false, 2);
    std::fill(one.a.begin(), one.a.end(), 0.0F);
    one.b[5] = std::numeric_limits<float>::infinity();  // row 0, column 5: 0 * inf is NaN
    one.b[one.p.ldb + 7] = std::numeric_limits<float>::quiet_NaN();
    ASSERT_TRUE(onednn.gemm(one.p).ok());
    for (std::size_t i = 0; i < m; ++i) {
      EXPECT_TRUE(std::isnan(one.c[i * one.p.ldc + 5])) << m;
      EXPECT_TRUE(std::isnan(one.c[i * one.p.ldc + 7])) << m;
      EXPECT_EQ(one.c[i * one.p.ldc + 6], 0.0F);
    }
  }
}

TEST(OneDnnGemm, RefusesWhatItCannot) {
  ThreadTeam team(1);
  HostResource memory;
  OneDnnGemm onednn(team, memory);
  EXPECT_EQ(onednn.gemm(Gemm<double>{}).code, Code::kUnimplemented);
  EXPECT_FALSE(onednn.supports(GemmType::kFp64));
  GemmCase<float> one({4, 4, 4}, false, false, 1);
  one.p.ldc = 3;
  EXPECT_EQ(onednn.gemm(one.p).code, Code::kInvalidArgument);
  one.p.ldc = one.p.n = one.p.ldb = std::size_t{1} << 32U;
  EXPECT_EQ(onednn.gemm(one.p).code, Code::kOutOfRange);
  GemmCase<float> other({4, 5, 4}, false, false, 1);
  const auto packed = onednn.pack(weights_of(other.p), memory);
  ASSERT_TRUE(packed.has_value());
  GemmCase<float> wrong({4, 4, 4}, false, false, 1);
  wrong.p.packed = packed->get();
  EXPECT_EQ(onednn.gemm(wrong.p).code, Code::kInvalidArgument);
  LimitingResource little(memory, 10, "the test");
  EXPECT_EQ(onednn.pack(weights_of(other.p), little).error().code, Code::kResourceExhausted);
  if (!onednn.supports(GemmType::kBf16)) {
    GemmCase<BFloat16> narrow({4, 4, 4}, false, false, 1);
    EXPECT_EQ(onednn.gemm(narrow.p).code, Code::kUnimplemented);
  }
}

// The figure that seats are charged, against what the process really grows by.
TEST(OneDnnGemm, ItsWorkspaceStaysUnderTheChargedFigure) {
  ThreadTeam team(2);
  HostResource memory;
  OneDnnGemm onednn(team, memory);
  for (const GemmShape s :
       {GemmShape{512, 20'000, 512}, GemmShape{20'000, 512, 512}, GemmShape{1024, 1024, 1024}}) {
    GemmCase<float> one(s, false, false, 1);
    std::fill(one.c.begin(), one.c.end(), 1.0F);
    const std::size_t before = resident_now();
    ASSERT_TRUE(onednn.gemm(one.p).ok());
    const std::size_t after = resident_now();
    EXPECT_LE(after, before + 2 * kOneDnnThreadBytes) << s.m << " " << s.n << " " << s.k;
    // What a product's seat is charged for the library, whichever it is.
    EXPECT_LE(after, before + plan::blas_workspace_bytes(s.m, s.n, s.k, plan::Precision::kFp32, 2));
  }
}

}  // namespace
}  // namespace overwinter::worker
