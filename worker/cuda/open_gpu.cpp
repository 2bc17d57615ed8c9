#include "worker/cuda/open_gpu.h"

#ifdef OVERWINTER_CUDA
#include "worker/cuda/cuda_device.h"
#endif

namespace overwinter::worker::cuda {

#ifdef OVERWINTER_CUDA
Result<std::unique_ptr<Accelerator>> open_gpu(int number) {
  auto device = CudaDevice::open(number);
  if (!device) return fail(device.error());
  return *std::move(device);
}
#else
Result<std::unique_ptr<Accelerator>> open_gpu(int /*number*/) {
  return fail(Code::kUnavailable, "this program was built without CUDA");
}
#endif

}  // namespace overwinter::worker::cuda
