#define OW_KERNEL_LEVEL baseline_kernels
#define OW_KERNEL
#define OW_REGISTER_BYTES 16
#include "worker/kernels/train_kernels_body.h"
#include "worker/kernels/train_kernels_levels.h"

namespace overwinter::worker {

const TrainKernels kBaselineKernels = OW_KERNEL_LEVEL::table_of("baseline");

}  // namespace overwinter::worker
