// Every loop at every level that this processor has: the same bits as the lowest.
#include "worker/compress/compress_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "tests/unit/worker/compress/compress_cases.h"
#include "worker/compress/compress_reference.h"

namespace overwinter::worker {
namespace {

class CompressLevel : public ::testing::TestWithParam<KernelLevel> {
 protected:
  void SetUp() override {
    if (GetParam() > best_kernel_level()) GTEST_SKIP() << "this processor has no such level";
  }
  const CompressKernels& kernels() { return compress_kernels(GetParam()); }
  const CompressKernels& lowest() { return compress_kernels(KernelLevel::kBaseline); }
};

const std::size_t kLengths[] = {0, 1, 7, 8, 15, 16, 31, 33, 64, 100, 257, 1024};

TEST_P(CompressLevel, LargestIsTheTwins) {
  for (const std::size_t count : kLengths) {
    Floats x = odd_values(count, 1);
    float most = 0;
    for (const float v : x) most = std::max(most, std::abs(v));
    EXPECT_EQ(kernels().largest(x.data(), count), std::bit_cast<std::uint32_t>(most));
    if (count == 0) continue;
    x[count / 2] = -std::numeric_limits<float>::infinity();
    EXPECT_EQ(kernels().largest(x.data(), count), 0x7f800000U);
    x[0] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_GT(kernels().largest(x.data(), count), 0x7f800000U);
  }
}

TEST_P(CompressLevel, ColumnsAreTheLowestLevels) {
  for (const std::size_t width : kLengths) {
    const std::size_t rows = 9;
    const std::size_t stride = width + 3;
    const Floats x = normal_values(rows * stride, 2);
    std::vector<std::uint32_t> mine(width, 5);
    std::vector<std::uint32_t> low(width, 5);
    kernels().largest_of_columns(x.data(), rows, stride, width, mine.data());
    lowest().largest_of_columns(x.data(), rows, stride, width, low.data());
    EXPECT_EQ(mine, low);
    for (std::size_t j = 0; j < width; ++j) {
      float most = 0;
      for (std::size_t r = 0; r < rows; ++r) most = std::max(most, std::abs(x[r * stride + j]));
      EXPECT_EQ(mine[j], std::bit_cast<std::uint32_t>(most));
    }
  }
}

TEST_P(CompressLevel, QuantisesAsTheTwin) {
  for (const std::size_t count : kLengths) {
    Floats x = normal_values(count, 3, 30);
    for (std::size_t i = 0; i < count; ++i) {
      if (i % 3 == 0) x[i] = std::round(x[i]) + 0.5F;  // ties
      x[i] = std::clamp(x[i], -127.0F, 127.0F);
    }
    Floats inverses(count, 1.0F);
    for (std::size_t i = 0; i < count; i += 5) inverses[i] = 0.37F;
    std::vector<std::int8_t> q(count);
    kernels().quantize(x.data(), count, 1.0F, q.data());
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(q[i], static_cast<std::int8_t>(std::nearbyint(x[i]))) << x[i];
    kernels().quantize_columns(x.data(), count, inverses.data(), q.data());
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(q[i], static_cast<std::int8_t>(std::nearbyint(x[i] * inverses[i]))) << x[i];
    Floats back(count);
    kernels().dequantize(q.data(), count, 0.3F, back.data());
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(back[i], static_cast<float>(q[i]) * 0.3F);
    kernels().dequantize_columns(q.data(), count, inverses.data(), back.data());
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(back[i], static_cast<float>(q[i]) * inverses[i]);
  }
}

TEST_P(CompressLevel, SumsAreScaledWithTheSameRoundings) {
  std::mt19937 random(4);
  for (const std::size_t width : kLengths) {
    std::vector<std::int32_t> sums(width);
    for (std::int32_t& sum : sums) sum = static_cast<std::int32_t>(random());
    const Floats scales = normal_values(width, 5);
    const Floats bias = normal_values(width, 6, 1e9F);
    Floats y(width);
    kernels().scale_sums(sums.data(), width, 0.123F, scales.data(), nullptr, y.data());
    for (std::size_t j = 0; j < width; ++j)
      ASSERT_EQ(y[j], static_cast<float>(sums[j]) * 0.123F * scales[j]);
    kernels().scale_sums(sums.data(), width, 0.123F, scales.data(), bias.data(), y.data());
    for (std::size_t j = 0; j < width; ++j)
      ASSERT_EQ(y[j], static_cast<float>(sums[j]) * 0.123F * scales[j] + bias[j]);
  }
}

TEST_P(CompressLevel, PrunesAsTheTwin) {
  for (const std::size_t count : kLengths) {
    const Floats x = odd_values(count, 7);
    Floats y(count);
    kernels().prune_below(x.data(), count, std::bit_cast<std::uint32_t>(1.0F), y.data());
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(y[i], std::abs(x[i]) < 1.0F ? 0 : x[i]);
    if (count % 4 != 0) continue;
    Floats slow(count);
    kernels().prune_fours(x.data(), count, y.data());
    prune_2_of_4_slowly(x, slow);
    ASSERT_EQ(y, slow);
  }
}

INSTANTIATE_TEST_SUITE_P(EachLevel, CompressLevel,
                         ::testing::Values(KernelLevel::kBaseline, KernelLevel::kAvx2,
                                           KernelLevel::kAvx512),
                         [](const auto& level) {
                           return std::string(compress_kernels(level.param).name);
                         });

}  // namespace
}  // namespace overwinter::worker
