// GemmSteps on the host: the twin of cuBLASLt's, one obvious loop.
#pragma once

#include <memory>

#include "worker/cuda/device_gemm.h"

namespace overwinter::worker::cuda {

// Refuses, as INVALID_ARGUMENT, what GemmSteps does not allow of int8.
[[nodiscard]] std::unique_ptr<GemmSteps> make_host_gemm_steps();

}  // namespace overwinter::worker::cuda
