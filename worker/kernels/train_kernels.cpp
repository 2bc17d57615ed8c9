#include "worker/kernels/train_kernels.h"

#include "worker/kernels/train_kernels_levels.h"

namespace overwinter::worker {

KernelLevel best_kernel_level() {
  // Asked once: a cpuid under a hypervisor costs microseconds.
  static const KernelLevel best = [] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    const bool avx512 =
        __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
        __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512bw") != 0;
    return avx2 && avx512 ? KernelLevel::kAvx512
           : avx2         ? KernelLevel::kAvx2
                          : KernelLevel::kBaseline;
  }();
  return best;
}

const TrainKernels& train_kernels(KernelLevel level) {
  switch (level) {
    case KernelLevel::kAvx512:
      return kAvx512Kernels;
    case KernelLevel::kAvx2:
      return kAvx2Kernels;
    case KernelLevel::kBaseline:
      break;
  }
  return kBaselineKernels;
}

}  // namespace overwinter::worker
