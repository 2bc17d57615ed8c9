#define OW_KERNEL_LEVEL avx512_compress
#define OW_KERNEL __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
#define OW_VECTOR_BYTES 64
#include "worker/compress/compress_kernels_body.h"

namespace overwinter::worker {

const CompressKernels kAvx512Compress = OW_KERNEL_LEVEL::table_of("avx512");

}  // namespace overwinter::worker
