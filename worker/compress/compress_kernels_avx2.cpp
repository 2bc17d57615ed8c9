#define OW_KERNEL_LEVEL avx2_compress
#define OW_KERNEL __attribute__((target("avx2,fma")))
#define OW_VECTOR_BYTES 32
#include "worker/compress/compress_kernels_body.h"

namespace overwinter::worker {

const CompressKernels kAvx2Compress = OW_KERNEL_LEVEL::table_of("avx2");

}  // namespace overwinter::worker
