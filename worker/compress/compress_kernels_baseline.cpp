#define OW_KERNEL_LEVEL baseline_compress
#define OW_KERNEL
#define OW_VECTOR_BYTES 16
#include "worker/compress/compress_kernels_body.h"

namespace overwinter::worker {

const CompressKernels kBaselineCompress = OW_KERNEL_LEVEL::table_of("baseline");

}  // namespace overwinter::worker
