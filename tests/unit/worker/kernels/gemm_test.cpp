// Every backend against the obvious twin; values that NumPy gave, as the independent source.
#include "worker/kernels/gemm.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "common/plan/memory_estimate.h"
#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/kernels/openblas_gemm.h"
#include "worker/kernels/packed_weights.h"
#include "worker/kernels/reference_gemm.h"
#include "worker/kernels/thread_team.h"
#include "worker/memory/host_resource.h"

namespace overwinter::worker {
namespace {

class OpenBlas : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(OpenBlas, AgreesWithTheTwin) {
  ThreadTeam team(GetParam());
  OpenBlasGemm openblas(team);
  std::uint32_t seed = 1;
  for (const GemmShape& s : gemm_shapes()) {
    agree<float>(openblas, s, seed);
    agree<double>(openblas, s, seed++);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, OpenBlas, ::testing::Values(1U, 2U, 3U, 4U));

TEST(GemmBackend, MatchesNumpy) {
  // numpy 1.24: a = arange(6).reshape(2, 3) * 0.5 - 1; b = arange(12).reshape(3, 4) ** 2 / 7; a @ b
  const std::vector<double> a = {-1, -0.5, 0, 0.5, 1, 1.5};
  std::vector<double> b(12);
  for (std::size_t i = 0; i < 12; ++i) b[i] = static_cast<double>(i * i) / 7.0;
  const std::vector<double> want = {
      -1.1428571428571428, -1.9285714285714284, -3.142857142857143, -4.785714285714286, 16.0, 21.0,
      26.857142857142854,  33.57142857142857};
  ThreadTeam team(2);
  OpenBlasGemm openblas(team);
  ReferenceGemm reference;
  for (GemmBackend* backend : std::initializer_list<GemmBackend*>{&openblas, &reference}) {
    std::vector<double> c(8);
    Gemm<double> p;
    p.m = 2;
    p.n = 4;
    p.k = 3;
    p.a = a.data();
    p.lda = 3;
    p.b = b.data();
    p.ldb = 4;
    p.c = c.data();
    p.ldc = 4;
    ASSERT_TRUE(backend->gemm(p).ok());
    for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(c[i], want[i], 1e-13) << backend->name() << i;
  }
}

TEST(GemmBackend, NonFiniteValuesAreCarriedAsIeeeSays) {
  ThreadTeam team(1);
  OpenBlasGemm openblas(team);
  std::vector<float> a(64 * 64, 0.0F);
  std::vector<float> b(64 * 64, 1.0F);
  b[5] = std::numeric_limits<float>::infinity();  // row 0, column 5: 0 * inf is NaN
  std::vector<float> c(64 * 64);
  Gemm<float> p;
  p.m = p.n = p.k = p.lda = p.ldb = p.ldc = 64;
  p.a = a.data();
  p.b = b.data();
  p.c = c.data();
  ASSERT_TRUE(openblas.gemm(p).ok());
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_TRUE(std::isnan(c[i * 64 + 5]));
    EXPECT_EQ(c[i * 64 + 6], 0.0F);
  }
}

TEST(GemmBackend, KeptWeightsOfAnyTypeAreTheSameProduct) {
  ThreadTeam team(2);
  HostResource memory;
  OpenBlasGemm openblas(team);
  ReferenceGemm reference;
  GemmCase<double> one({40, 70, 30}, true, true, 4);
  const auto packed = openblas.pack(weights_of(one.p), memory);
  ASSERT_TRUE(packed.has_value());
  EXPECT_EQ((*packed)->bytes(), 30 * 70 * sizeof(double));
  expect_agrees(one, [&](Gemm<double> p) {
    p.packed = packed->get();
    p.b = nullptr;
    return openblas.gemm(p);
  });
  one.p.packed = packed->get();
  EXPECT_EQ(reference.gemm(one.p).code, Code::kInvalidArgument);  // another's
  GemmCase<Float16> narrow({4, 7, 3}, false, true, 4);
  const auto halves = reference.pack(weights_of(narrow.p), memory);
  ASSERT_TRUE(halves.has_value());
  expect_agrees(narrow, [&](Gemm<Float16> p) {
    p.packed = halves->get();
    return reference.gemm(p);
  });
}

TEST(GemmBackend, ATypeThatABackendLacksIsSaid) {
  ThreadTeam team(1);
  OpenBlasGemm openblas(team);
  EXPECT_FALSE(openblas.supports(GemmType::kBf16));
  const Status said = openblas.gemm(Gemm<BFloat16>{});
  EXPECT_EQ(said.code, Code::kUnimplemented);
  EXPECT_EQ(said.message, "OpenBLAS has no products of bf16 on this processor");
}

TEST(GemmBackend, RefusesStridesThatAreTooShort) {
  ReferenceGemm reference;
  Gemm<float> p;
  p.m = p.n = p.k = 4;
  p.lda = p.ldb = 4;
  p.ldc = 3;
  EXPECT_EQ(reference.gemm(p).code, Code::kInvalidArgument);
}

std::size_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0;
  unsigned long resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// The figure that seats are charged, against what the process really grows by.
TEST(OpenBlasGemm, ItsWorkspaceStaysUnderTheChargedFigure) {
  ThreadTeam team(2);
  OpenBlasGemm openblas(team);
  const std::size_t m = 9000;  // more than one call for each thread
  const std::size_t n = 256;
  const std::size_t k = 512;
  std::vector<double> a(m * k, 1.0);
  std::vector<double> b(k * n, 1.0);
  std::vector<double> c(m * n, 1.0);
  Gemm<double> p;
  p.m = m;
  p.n = n;
  p.k = k;
  p.a = a.data();
  p.lda = k;
  p.b = b.data();
  p.ldb = n;
  p.c = c.data();
  p.ldc = n;
  const std::size_t before = resident_bytes();
  ASSERT_TRUE(openblas.gemm(p).ok());
  const std::size_t after = resident_bytes();
  EXPECT_LE(after, before + 2 * kOpenBlasThreadBytes);
  EXPECT_LE(after, before + plan::blas_workspace_bytes(m, n, k, plan::Precision::kFp64, 2));
}

TEST(ThreadTeam, EveryThreadWorksOnceARound) {
  ThreadTeam team(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> seen(4);
    team.run([&](std::uint32_t i) { ++seen[i]; });
    EXPECT_EQ(seen, (std::vector<int>{1, 1, 1, 1}));
  }
}

}  // namespace
}  // namespace overwinter::worker
