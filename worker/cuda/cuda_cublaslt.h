// The functions of cuBLASLt that are called, from the library that is loaded when the first GPU
// multiplies: half a gigabyte that no program has to have to start.
#pragma once

#include <cublasLt.h>

#include "common/base/result.h"

namespace overwinter::worker::cuda {

struct CublasLt {
  // The process's one; it stays loaded. UNAVAILABLE, with the loader's reason, where there is none
  // of the version that this program was built with.
  [[nodiscard]] static Result<const CublasLt*> load();

  // Success for CUBLAS_STATUS_SUCCESS; else `doing` and what the library says.
  [[nodiscard]] Status status_of(cublasStatus_t code, const char* doing) const;

  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtGetStatusString) status_string = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;
  decltype(&cublasLtMatmulDescCreate) desc_create = nullptr;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
};

}  // namespace overwinter::worker::cuda
