// The suite of kernels on a GPU.
#include "tests/contract/device_kernels_suite.h"
#include "tests/gpu/a_gpu.h"

namespace overwinter::worker::cuda {
namespace {

class CudaKernels : public AGpu {};

TEST_F(CudaKernels, LayerNorm) {
  DeviceKernelsSuite(*gpu_).layer_norm();
}
TEST_F(CudaKernels, Elements) {
  DeviceKernelsSuite(*gpu_).elements();
}
TEST_F(CudaKernels, BiasAndRelu) {
  DeviceKernelsSuite(*gpu_).bias_and_relu();
}
TEST_F(CudaKernels, CrossEntropy) {
  DeviceKernelsSuite(*gpu_).cross_entropy();
}
TEST_F(CudaKernels, Sums) {
  DeviceKernelsSuite(*gpu_).sums();
}
TEST_F(CudaKernels, Embedding) {
  DeviceKernelsSuite(*gpu_).embedding();
}
TEST_F(CudaKernels, Optimizers) {
  DeviceKernelsSuite(*gpu_).optimizers();
}
TEST_F(CudaKernels, Attention) {
  DeviceKernelsSuite(*gpu_).attention();
}

}  // namespace
}  // namespace overwinter::worker::cuda
