#include "worker/cuda/cuda_launch.h"
#include "worker/cuda/kernels_over.h"
#include "worker/cuda/launcher.cuh"

namespace overwinter::worker::cuda {

std::unique_ptr<DeviceKernels> make_cuda_kernels(CudaDevice& device) {
  return std::make_unique<KernelsOver<GpuLauncher>>(GpuLauncher(device));
}

}  // namespace overwinter::worker::cuda
