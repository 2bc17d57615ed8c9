// What products need beside cuBLASLt.
#include "worker/cuda/cuda_launch.h"
#include "worker/cuda/launcher.cuh"

namespace overwinter::worker::cuda {

#define OW_LAUNCH(Op)                                                    \
  Status launch(const CudaDevice& device, std::size_t n, const Op& op) { \
    return GpuLauncher(device).elements(n, op);                          \
  }
OW_LAUNCH(ScaleElement<float>)
OW_LAUNCH(ScaleElement<double>)
OW_LAUNCH(ScaleElement<std::int32_t>)
OW_LAUNCH(FinishInt32)
OW_LAUNCH(PadBytes)
#undef OW_LAUNCH

}  // namespace overwinter::worker::cuda
