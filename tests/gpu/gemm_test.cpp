// cuBLASLt's products on a GPU against the slow twin.
#include <gtest/gtest.h>

#include "tests/contract/on_device.h"
#include "tests/gpu/a_gpu.h"
#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/cuda/device_gemm.h"
#include "worker/cuda/staged_gemm.h"

namespace overwinter::worker::cuda {
namespace {

// One product with the strides and gaps of the case itself on the device.
template <class T>
Status multiply_there(Accelerator& gpu, GemmBackend& gemm, GemmCase<T>& one) {
  OnDevice on(gpu);
  Gemm<T> p = one.p;
  p.a = on.put(one.a);
  p.b = on.put(one.b);
  p.c = on.put(one.c);
  if (Status done = gemm.gemm(p); !done.ok()) return done;
  one.c = on.get(p.c, one.c.size());
  return Status::success();
}

// As expect_agrees, within the bound of tensor cores.
template <class T>
void expect_tensor_bound(GemmCase<T> one, bool tf32, const auto& multiply) {
  const std::vector<double> sizes = sizes_of(one);
  Doubles a;
  Doubles b;
  Doubles want(one.c.begin(), one.c.end());
  for (const T x : one.a) a.push_back(as_double(x));
  for (const T x : one.b) b.push_back(as_double(x));
  Gemm<double> exact;
  exact.transpose_a = one.p.transpose_a;
  exact.transpose_b = one.p.transpose_b;
  exact.m = one.p.m;
  exact.n = one.p.n;
  exact.k = one.p.k;
  exact.alpha = as_double(one.p.alpha);
  exact.beta = as_double(one.p.beta);
  exact.a = a.data();
  exact.lda = one.p.lda;
  exact.b = b.data();
  exact.ldb = one.p.ldb;
  exact.c = want.data();
  exact.ldc = one.p.ldc;
  ASSERT_TRUE(ReferenceGemm().gemm(exact).ok());
  const Status done = multiply(one);
  ASSERT_TRUE(done.ok()) << done.message;
  const double factor = tensor_gemm_error_factor(GemmTraits<T>::kType, one.p.k, tf32);
  for (std::size_t i = 0; i < want.size(); ++i) {
    const bool gap = one.p.m * one.p.n == 0 || i % one.p.ldc >= one.p.n;
    ASSERT_LE(std::abs(want[i] - as_double(one.c[i])), gap ? 0 : factor * sizes[i])
        << gemm_type_name(GemmTraits<T>::kType) << " m " << one.p.m << " n " << one.p.n << " k "
        << one.p.k << " at " << i;
  }
}

template <class T>
void expect_tensor_bound(Accelerator& gpu, GemmBackend& gemm, bool tf32) {
  std::uint32_t seed = 1;
  for (const GemmShape& s : gemm_shapes()) {
    for (int way = 0; way < 4; ++way) {
      GemmCase<T> one(s, (way & 1) != 0, (way & 2) != 0, seed++);
      if (way == 1) one.p.beta = 1;
      if (way == 2) one.p.alpha = -1.5F;
      expect_tensor_bound(one, tf32, [&](GemmCase<T>& c) { return multiply_there(gpu, gemm, c); });
    }
  }
}

class CudaGemm : public AGpu {
 protected:
  std::unique_ptr<GemmBackend> make(bool tf32 = false) {
    auto made = gpu_->make_gemm(gpu_->memory(), {.tf32 = tf32});
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *std::move(made);
  }
  template <class T>
  void agree_there(GemmBackend& gemm) {
    std::uint32_t seed = 1;
    for (const GemmShape& s : gemm_shapes()) {
      for (int way = 0; way < 4; ++way) {
        GemmCase<T> one(s, (way & 1) != 0, (way & 2) != 0, seed++);
        if (way == 1) one.p.beta = 1;
        expect_agrees(one, [&](const Gemm<T>&) { return multiply_there(*gpu_, gemm, one); });
      }
    }
  }
};

TEST_F(CudaGemm, Fp32Fp64AndInt8AreWithinTheBound) {
  const auto gemm = make();
  agree_there<float>(*gemm);
  agree_there<double>(*gemm);
  agree_there<std::int8_t>(*gemm);
}

TEST_F(CudaGemm, Bf16Fp16AndTf32AreWithinTheBoundOfTensorCores) {
  const auto gemm = make();
  expect_tensor_bound<BFloat16>(*gpu_, *gemm, false);
  expect_tensor_bound<Float16>(*gpu_, *gemm, false);
  const auto tf32 = make(true);
  expect_tensor_bound<float>(*gpu_, *tf32, true);
}

TEST_F(CudaGemm, ByCopiesInBlocks) {
  const auto gemm = make();
  BoundedPool pool(gpu_->memory(), std::size_t{256} << 20, "the GPU");
  for (const std::size_t bytes : {std::size_t{64} << 20, std::size_t{100'000}}) {
    StagedGemm staged(*gpu_, *gemm, pool.memory(), bytes);
    agree<float>(staged, {129, 65, 257}, 1);
    agree<std::int8_t>(staged, {129, 65, 257}, 2);
  }
}

}  // namespace
}  // namespace overwinter::worker::cuda
