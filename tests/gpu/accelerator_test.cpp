// The suite of accelerators on a GPU, by CUDA.
#include "tests/gpu/a_gpu.h"

namespace overwinter::worker::cuda {
namespace {

class CudaTest : public AGpu {};

TEST_F(CudaTest, Copies) {
  expect_copies(*gpu_);
}

TEST_F(CudaTest, Memory) {
  expect_memory(*gpu_);
}

}  // namespace
}  // namespace overwinter::worker::cuda
