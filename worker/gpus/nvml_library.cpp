#include "worker/gpus/nvml_library.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <string_view>

namespace overwinter::worker::gpus {
namespace {

std::string loader_error() {
  const char* said = ::dlerror();
  return said == nullptr ? "no reason given" : said;
}

template <class Function>
bool take(void* handle, const char* symbol, Function& function) {
  // POSIX promises that this conversion works for what dlsym returns.
  function = reinterpret_cast<Function>(::dlsym(handle, symbol));
  return function != nullptr;
}

}  // namespace

Status Library::take_symbols() {
  const auto missing = [](const char* symbol) {
    return error(Code::kUnavailable,
                 fmt::format("NVIDIA's management library here has no {}", symbol));
  };
  if (!take(handle_, "nvmlInit_v2", init_)) return missing("nvmlInit_v2");
  if (!take(handle_, "nvmlShutdown", shutdown_)) return missing("nvmlShutdown");
  if (!take(handle_, "nvmlDeviceGetCount_v2", count)) return missing("nvmlDeviceGetCount_v2");
  if (!take(handle_, "nvmlDeviceGetHandleByIndex_v2", by_index))
    return missing("nvmlDeviceGetHandleByIndex_v2");
  if (!take(handle_, "nvmlDeviceGetHandleByUUID", by_uuid))
    return missing("nvmlDeviceGetHandleByUUID");
  if (!take(handle_, "nvmlDeviceGetUUID", uuid)) return missing("nvmlDeviceGetUUID");
  if (!take(handle_, "nvmlDeviceGetName", name)) return missing("nvmlDeviceGetName");
  if (!take(handle_, "nvmlDeviceGetMemoryInfo", memory)) return missing("nvmlDeviceGetMemoryInfo");
  take(handle_, "nvmlErrorString", error_);
  take(handle_, "nvmlDeviceGetMemoryInfo_v2", memory2);
  take(handle_, "nvmlDeviceGetPciInfo_v3", pci);
  take(handle_, "nvmlDeviceGetMigMode", mig);
  take(handle_, "nvmlDeviceGetMinorNumber", minor_number);
  take(handle_, "nvmlSystemGetDriverVersion", driver);
  if (!take(handle_, "nvmlDeviceGetComputeRunningProcesses_v3", processes3) &&
      !take(handle_, "nvmlDeviceGetComputeRunningProcesses_v2", processes3))
    take(handle_, "nvmlDeviceGetComputeRunningProcesses", processes1);
  return Status::success();
}

Result<std::unique_ptr<Library>> Library::load(const std::string& path) {
  std::unique_ptr<Library> library(new Library());
  library->handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library->handle_ == nullptr) return fail(Code::kUnavailable, loader_error());
  if (Status taken = library->take_symbols(); !taken.ok()) return fail(std::move(taken));
  if (const nvml::Return code = library->init_(); code != nvml::kSuccess)
    return fail(Code::kUnavailable, "NVIDIA's driver does not answer: " + library->text(code));
  library->initialised_ = true;
  return library;
}

Library::~Library() {
  if (initialised_) shutdown_();
}

std::string Library::text(nvml::Return code) const {
  constexpr std::size_t kTextMax = 200;
  const char* said = error_ == nullptr ? nullptr : error_(code);
  if (said == nullptr) return fmt::format("NVML error {}", code);
  return fmt::format("{} (NVML error {})", std::string_view(said).substr(0, kTextMax), code);
}

}  // namespace overwinter::worker::gpus
