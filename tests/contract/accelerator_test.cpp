// The suite of accelerators for the one that every machine has; tests/gpu runs it on a GPU.
#include "tests/contract/accelerator_suite.h"

#include "worker/cuda/host_accelerator.h"
#include "worker/cuda/open_gpu.h"

namespace overwinter::worker::cuda {
namespace {

TEST(HostAccelerator, Copies) {
  HostAccelerator host;
  expect_copies(host);
}

TEST(HostAccelerator, Memory) {
  HostAccelerator host;
  expect_memory(host);
}

// Here, in CI and on most machines: it says why, and nothing has to be there.
TEST(OpenGpu, SaysWhyThereIsNone) {
  const auto gpu = open_gpu(4096);
  ASSERT_FALSE(gpu);
  EXPECT_EQ(gpu.error().code, Code::kUnavailable);
  EXPECT_FALSE(gpu.error().message.empty());
}

}  // namespace
}  // namespace overwinter::worker::cuda
