// What the *.cu files start, for those that are not compiled by nvcc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "worker/cuda/cuda_device.h"
#include "worker/cuda/device_kernels.h"
#include "worker/cuda/element_ops.h"

namespace overwinter::worker::cuda {

// The device outlives it.
[[nodiscard]] std::unique_ptr<DeviceKernels> make_cuda_kernels(CudaDevice& device);

// Elements of element_ops.h on the device.
Status launch(const CudaDevice& device, std::size_t n, const ScaleElement<float>& op);
Status launch(const CudaDevice& device, std::size_t n, const ScaleElement<double>& op);
Status launch(const CudaDevice& device, std::size_t n, const ScaleElement<std::int32_t>& op);
Status launch(const CudaDevice& device, std::size_t n, const FinishInt32& op);
Status launch(const CudaDevice& device, std::size_t n, const PadBytes& op);

}  // namespace overwinter::worker::cuda
