#define OW_KERNEL_LEVEL avx512_kernels
#define OW_KERNEL __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
#define OW_REGISTER_BYTES 64
#include "worker/kernels/train_kernels_body.h"
#include "worker/kernels/train_kernels_levels.h"

namespace overwinter::worker {

const TrainKernels kAvx512Kernels = OW_KERNEL_LEVEL::table_of("avx512");

}  // namespace overwinter::worker
