#include "worker/compress/compress_kernels.h"

namespace overwinter::worker {

const CompressKernels& compress_kernels(KernelLevel level) {
  switch (level) {
    case KernelLevel::kAvx512:
      return kAvx512Compress;
    case KernelLevel::kAvx2:
      return kAvx2Compress;
    case KernelLevel::kBaseline:
      break;
  }
  return kBaselineCompress;
}

}  // namespace overwinter::worker
