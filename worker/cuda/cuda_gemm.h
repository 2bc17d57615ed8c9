// Products by cuBLASLt.
#pragma once

#include <memory>

#include "worker/cuda/cuda_device.h"
#include "worker/cuda/device_gemm.h"

namespace overwinter::worker::cuda {

// The device and the memory (the workspace's) outlive it. UNAVAILABLE without the library,
// RESOURCE_EXHAUSTED without memory for the workspace.
[[nodiscard]] Result<std::unique_ptr<GemmSteps>> make_cuda_gemm_steps(
    CudaDevice& device, MemoryResource& memory, const DeviceGemmOptions& options);

}  // namespace overwinter::worker::cuda
