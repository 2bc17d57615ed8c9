#include "worker/kernels/strassen_passes.h"

#include "worker/kernels/strassen_passes_levels.h"

namespace overwinter::worker {

template <>
const StrassenPasses<float>& strassen_passes(KernelLevel level) {
  switch (level) {
    case KernelLevel::kAvx512:
      return kStrassenAvx512Fp32;
    case KernelLevel::kAvx2:
      return kStrassenAvx2Fp32;
    case KernelLevel::kBaseline:
      break;
  }
  return kStrassenBaselineFp32;
}

template <>
const StrassenPasses<double>& strassen_passes(KernelLevel level) {
  switch (level) {
    case KernelLevel::kAvx512:
      return kStrassenAvx512Fp64;
    case KernelLevel::kAvx2:
      return kStrassenAvx2Fp64;
    case KernelLevel::kBaseline:
      break;
  }
  return kStrassenBaselineFp64;
}

}  // namespace overwinter::worker
