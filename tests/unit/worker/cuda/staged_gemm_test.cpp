// Products of the host's matrices by blocks, on the twin of a device.
#include "worker/cuda/staged_gemm.h"

#include <gtest/gtest.h>

#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/cuda/device_resource.h"
#include "worker/cuda/host_accelerator.h"
#include "worker/kernels/packed_weights.h"

namespace overwinter::worker::cuda {
namespace {

// As much as is needed, some kilobytes, and less than the least block: which then is taken anyway.
class Staged : public ::testing::TestWithParam<std::size_t> {
 protected:
  HostAccelerator host_;
  BoundedPool pool_{host_.memory(), std::size_t{256} << 20, "the device"};
  std::unique_ptr<GemmBackend> inner_ = host_.make_gemm(pool_.memory(), {}).value();
};

TEST_P(Staged, AgreesWithTheTwin) {
  StagedGemm gemm(host_, *inner_, pool_.memory(), GetParam());
  std::uint32_t seed = 1;
  for (const GemmShape& s : gemm_shapes()) {
    agree<float>(gemm, s, seed);
    agree<double>(gemm, s, seed);
    agree<BFloat16>(gemm, s, seed);
    agree<Float16>(gemm, s, seed);
    agree<std::int8_t>(gemm, s, seed++);
  }
  EXPECT_EQ(gemm.name(), "columns of the host by copies");
}

INSTANTIATE_TEST_SUITE_P(Bytes, Staged,
                         ::testing::Values(std::size_t{64} << 20, std::size_t{20'000}, 1U));

TEST(StagedGemm, KeptWeightsLieInTheHostsMemory) {
  HostAccelerator host;
  HostResource memory;
  const auto inner = host.make_gemm(memory, {}).value();
  StagedGemm gemm(host, *inner, memory, 20'000);
  GemmCase<float> one({40, 70, 90}, false, true, 4);
  const auto packed = gemm.pack(weights_of(one.p), memory);
  ASSERT_TRUE(packed.has_value());
  expect_agrees(one, [&](Gemm<float> p) {
    p.packed = packed->get();
    p.b = nullptr;
    return gemm.gemm(p);
  });
}

TEST(StagedGemm, SaysWhenTheDeviceHasNoRoom) {
  HostAccelerator host;
  BoundedPool small(host.memory(), 10'000, "the device");
  const auto inner = host.make_gemm(small.memory(), {}).value();
  StagedGemm gemm(host, *inner, small.memory(), std::size_t{1} << 20);
  GemmCase<float> one({64, 64, 64}, false, false, 1);
  EXPECT_EQ(gemm.gemm(one.p).code, Code::kResourceExhausted);
  EXPECT_EQ(gemm.gemm(Gemm<float>{.m = 4, .n = 4, .k = 4}).code, Code::kInvalidArgument);
}

TEST(StagedBlocks, AreWholeWhereTheyFitAndHalvesOfTheLongestSideElse) {
  const StagedBlocks whole = staged_blocks(1000, 2000, 3000, 4, 4, std::size_t{64} << 20);
  EXPECT_EQ(whole.m, 1000U);
  EXPECT_EQ(whole.n, 2000U);
  EXPECT_EQ(whole.k, 3000U);
  const StagedBlocks cut = staged_blocks(8192, 8192, 8192, 2, 4, std::size_t{100} << 20);
  EXPECT_LE((cut.m + cut.n) * cut.k * 2 + cut.m * cut.n * 4, std::size_t{100} << 20);
  EXPECT_EQ(cut.m % 16, 0U);
  EXPECT_GE(cut.m * cut.n * cut.k, std::size_t{2048} * 2048 * 2048);
}

}  // namespace
}  // namespace overwinter::worker::cuda
