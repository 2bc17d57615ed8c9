#define OW_STRASSEN_LEVEL strassen_avx512
#define OW_KERNEL __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
#include "worker/kernels/strassen_passes_body.h"
#include "worker/kernels/strassen_passes_levels.h"

namespace overwinter::worker {

const StrassenPasses<float> kStrassenAvx512Fp32 = OW_STRASSEN_LEVEL::table_of<float>();
const StrassenPasses<double> kStrassenAvx512Fp64 = OW_STRASSEN_LEVEL::table_of<double>();

}  // namespace overwinter::worker
