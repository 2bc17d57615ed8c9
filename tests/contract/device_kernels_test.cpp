// The suite of kernels on the host's twin, which runs the GPU's arithmetic; tests/gpu runs it on a
// GPU.
#include "tests/contract/device_kernels_suite.h"
#include "worker/cuda/host_accelerator.h"

namespace overwinter::worker::cuda {
namespace {

class HostKernels : public ::testing::Test {
 protected:
  HostAccelerator host_;
  DeviceKernelsSuite suite_{host_};
};

TEST_F(HostKernels, LayerNorm) {
  suite_.layer_norm();
}
TEST_F(HostKernels, Elements) {
  suite_.elements();
}
TEST_F(HostKernels, BiasAndRelu) {
  suite_.bias_and_relu();
}
TEST_F(HostKernels, CrossEntropy) {
  suite_.cross_entropy();
}
TEST_F(HostKernels, Sums) {
  suite_.sums();
}
TEST_F(HostKernels, Embedding) {
  suite_.embedding();
}
TEST_F(HostKernels, Optimizers) {
  suite_.optimizers();
}
TEST_F(HostKernels, Attention) {
  suite_.attention();
}

}  // namespace
}  // namespace overwinter::worker::cuda
