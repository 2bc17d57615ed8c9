// A test on the first GPU that CUDA sees; without one it is skipped, with the reason.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "tests/contract/accelerator_suite.h"
#include "worker/cuda/open_gpu.h"

namespace overwinter::worker::cuda {

class AGpu : public testing::Test {
 protected:
  void SetUp() override {
    auto gpu = open_gpu(0);
    if (!gpu) GTEST_SKIP() << gpu.error().message;
    gpu_ = *std::move(gpu);
  }
  std::unique_ptr<Accelerator> gpu_;
};

}  // namespace overwinter::worker::cuda
