// DeviceKernels on the host, one thread: the twin of the GPU's, and of nobody's use but tests'.
#pragma once

#include <memory>

#include "worker/cuda/device_kernels.h"

namespace overwinter::worker::cuda {

[[nodiscard]] std::unique_ptr<DeviceKernels> make_host_kernels();

}  // namespace overwinter::worker::cuda
