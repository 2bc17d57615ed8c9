#include "worker/cuda/cuda_cublaslt.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

namespace overwinter::worker::cuda {
namespace {

template <class Function>
void take(void* handle, const char* symbol, Function& function, const char*& missing) {
  // POSIX promises that this conversion works for what dlsym returns.
  function = reinterpret_cast<Function>(::dlsym(handle, symbol));
  if (function == nullptr) missing = symbol;
}

Result<CublasLt> look() {
  const std::string file = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  void* const handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const said = ::dlerror();
    return fail(Code::kUnavailable, said == nullptr ? file + " cannot be loaded" : said);
  }
  CublasLt lt;
  const char* missing = nullptr;
  take(handle, "cublasLtCreate", lt.create, missing);
  take(handle, "cublasLtDestroy", lt.destroy, missing);
  take(handle, "cublasLtGetStatusString", lt.status_string, missing);
  take(handle, "cublasLtMatmul", lt.matmul, missing);
  take(handle, "cublasLtMatmulAlgoGetHeuristic", lt.heuristic, missing);
  take(handle, "cublasLtMatmulDescCreate", lt.desc_create, missing);
  take(handle, "cublasLtMatmulDescDestroy", lt.desc_destroy, missing);
  take(handle, "cublasLtMatmulDescSetAttribute", lt.desc_set, missing);
  take(handle, "cublasLtMatrixLayoutCreate", lt.layout_create, missing);
  take(handle, "cublasLtMatrixLayoutDestroy", lt.layout_destroy, missing);
  take(handle, "cublasLtMatmulPreferenceCreate", lt.preference_create, missing);
  take(handle, "cublasLtMatmulPreferenceDestroy", lt.preference_destroy, missing);
  take(handle, "cublasLtMatmulPreferenceSetAttribute", lt.preference_set, missing);
  if (missing != nullptr)
    return fail(Code::kUnavailable, fmt::format("{} here has no {}", file, missing));
  return lt;
}

}  // namespace

Result<const CublasLt*> CublasLt::load() {
  static const Result<CublasLt> library = look();
  if (!library) return fail(library.error());
  return &*library;
}

Status CublasLt::status_of(cublasStatus_t code, const char* doing) const {
  if (code == CUBLAS_STATUS_SUCCESS) return Status::success();
  const Code meant =
      code == CUBLAS_STATUS_NOT_SUPPORTED
          ? Code::kUnimplemented
          : (code == CUBLAS_STATUS_ALLOC_FAILED ? Code::kResourceExhausted : Code::kInternal);
  return error(meant, fmt::format("cuBLASLt failed {}: {}", doing, status_string(code)));
}

}  // namespace overwinter::worker::cuda
