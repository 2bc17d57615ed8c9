// A GPU of NVIDIA's by the CUDA runtime.
#pragma once

#include <cstddef>
#include <memory>

#include "worker/cuda/accelerator.h"

namespace overwinter::worker::cuda {

// The GPU of that number among those that CUDA lets this process see. UNAVAILABLE, with the reason
// in one sentence, where there is none: a build without CUDA, no driver or too old a one, no such
// GPU, one before compute 8.0 (no bf16).
[[nodiscard]] Result<std::unique_ptr<Accelerator>> open_gpu(int number);

}  // namespace overwinter::worker::cuda
