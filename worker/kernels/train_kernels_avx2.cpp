#define OW_KERNEL_LEVEL avx2_kernels
#define OW_KERNEL __attribute__((target("avx2,fma")))
#define OW_REGISTER_BYTES 32
#include "worker/kernels/train_kernels_body.h"
#include "worker/kernels/train_kernels_levels.h"

namespace overwinter::worker {

const TrainKernels kAvx2Kernels = OW_KERNEL_LEVEL::table_of("avx2");

}  // namespace overwinter::worker
