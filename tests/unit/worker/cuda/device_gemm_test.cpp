// Products by the twin of a device, which multiplies column-major as cuBLASLt does.
#include "worker/cuda/device_gemm.h"

#include <gtest/gtest.h>

#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/cuda/device_resource.h"
#include "worker/cuda/host_accelerator.h"
#include "worker/kernels/packed_weights.h"

namespace overwinter::worker::cuda {
namespace {

class DeviceGemmTest : public ::testing::Test {
 protected:
  HostAccelerator host_;
  BoundedPool pool_{host_.memory(), std::size_t{256} << 20, "the device"};
  std::unique_ptr<GemmBackend> gemm_ = host_.make_gemm(pool_.memory(), {}).value();
};

TEST_F(DeviceGemmTest, EveryTypeAgreesWithTheTwin) {
  std::uint32_t seed = 1;
  for (const GemmShape& s : gemm_shapes()) {
    agree<float>(*gemm_, s, seed);
    agree<double>(*gemm_, s, seed);
    agree<BFloat16>(*gemm_, s, seed);
    agree<Float16>(*gemm_, s, seed);
    agree<std::int8_t>(*gemm_, s, seed++);
  }
  EXPECT_TRUE(gemm_->supports(GemmType::kInt8));
}

// Sums that leave 32 bits: -128 x -128 this often is beyond 2^31, and no piece is.
TEST_F(DeviceGemmTest, Int8WrapsAsTheTwinDoes) {
  const std::size_t k = 300'001;
  std::vector<std::int8_t> a(k, -128);
  std::vector<std::int8_t> b(k, -128);
  a[k - 1] = 3;
  std::vector<std::int32_t> c{5};
  Gemm<std::int8_t> p;
  p.m = p.n = p.ldb = p.ldc = 1;
  p.k = p.lda = k;
  p.alpha = -3;
  p.beta = 7;
  p.a = a.data();
  p.b = b.data();
  p.c = c.data();
  ASSERT_TRUE(gemm_->gemm(p).ok());
  const std::int64_t sum = std::int64_t{300'000} * 16'384 - 3 * 128;
  EXPECT_EQ(c[0], static_cast<std::int32_t>(static_cast<std::uint32_t>(-3 * sum + 35)));
}

TEST_F(DeviceGemmTest, KeptWeightsAreTheSameProduct) {
  for (const bool transpose : {false, true}) {
    GemmCase<float> one({40, 70, 30}, true, transpose, 4);
    const auto packed = gemm_->pack(weights_of(one.p), pool_.memory());
    ASSERT_TRUE(packed.has_value());
    EXPECT_EQ((*packed)->bytes(), 30 * 70 * sizeof(float));
    expect_agrees(one, [&](Gemm<float> p) {
      p.packed = packed->get();
      p.b = nullptr;
      return gemm_->gemm(p);
    });
    GemmCase<std::int8_t> bytes({9, 20, 33}, false, transpose, 5);
    const auto kept = gemm_->pack(weights_of(bytes.p), pool_.memory());
    ASSERT_TRUE(kept.has_value());
    expect_agrees(bytes, [&](Gemm<std::int8_t> p) {
      p.packed = kept->get();
      return gemm_->gemm(p);
    });
    Gemm<float> wrong = one.p;
    wrong.packed = kept->get();
    EXPECT_EQ(gemm_->gemm(wrong).code, Code::kInvalidArgument);
  }
  GemmWeights narrow;
  narrow.k = 2;
  narrow.n = 3;
  narrow.ldb = 2;
  EXPECT_EQ(gemm_->pack(narrow, pool_.memory()).error().code, Code::kInvalidArgument);
}

TEST_F(DeviceGemmTest, RefusesShortStridesAndSaysWhenMemoryIsMissing) {
  GemmCase<std::int8_t> one({64, 64, 64}, false, false, 1);
  Gemm<std::int8_t> p = one.p;
  p.ldc = 63;
  EXPECT_EQ(gemm_->gemm(p).code, Code::kInvalidArgument);
  BoundedPool small(host_.memory(), 8192, "the device");
  const auto gemm = host_.make_gemm(small.memory(), {}).value();
  EXPECT_EQ(gemm->gemm(one.p).code, Code::kResourceExhausted);
}

TEST(TensorGemmErrorFactor, IsThePlainOneWhereNoTensorCoreRounds) {
  EXPECT_EQ(tensor_gemm_error_factor(GemmType::kFp32, 100, false),
            gemm_error_factor(GemmType::kFp32, 100));
  EXPECT_EQ(tensor_gemm_error_factor(GemmType::kFp64, 100, true),
            gemm_error_factor(GemmType::kFp64, 100));
  EXPECT_EQ(tensor_gemm_error_factor(GemmType::kInt8, 100, true), 0);
  EXPECT_GT(tensor_gemm_error_factor(GemmType::kBf16, 100, false),
            gemm_error_factor(GemmType::kBf16, 100));
  EXPECT_GT(tensor_gemm_error_factor(GemmType::kFp32, 1, true), 0x1p-9);
  EXPECT_LT(tensor_gemm_error_factor(GemmType::kFp32, 1024, true), 0.0025);
}

}  // namespace
}  // namespace overwinter::worker::cuda
