#define OW_STRASSEN_LEVEL strassen_baseline
#define OW_KERNEL
#include "worker/kernels/strassen_passes_body.h"
#include "worker/kernels/strassen_passes_levels.h"

namespace overwinter::worker {

const StrassenPasses<float> kStrassenBaselineFp32 = OW_STRASSEN_LEVEL::table_of<float>();
const StrassenPasses<double> kStrassenBaselineFp64 = OW_STRASSEN_LEVEL::table_of<double>();

}  // namespace overwinter::worker
