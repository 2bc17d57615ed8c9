// Accelerator: a device with memory of its own, which the host reaches by copies alone. A GPU is
// one (open_gpu.h); HostAccelerator is its twin in the host's memory, so that all that
// lies above is tested where there is no GPU.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "worker/kernels/gemm.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker::cuda {

class DeviceKernels;  // device_kernels.h

struct DeviceGemmOptions {
  // fp32 factors are rounded to 11 bits of significand (TF32), sums stay in fp32: several times as
  // fast, and within tensor_gemm_error_factor (device_gemm.h) instead of gemm_error_factor.
  bool tf32 = false;
  std::size_t workspace_bytes = 32 * kMiB;  // held for as long as the backend is
};

// `rows` rows of `row_bytes` each, their begins so far apart as the strides say.
struct RowCopy {
  void* to = nullptr;
  std::size_t to_stride_bytes = 0;
  const void* from = nullptr;
  std::size_t from_stride_bytes = 0;
  std::size_t row_bytes = 0;
  std::size_t rows = 0;
};

// One caller at a time. Work is done in the order in which it was asked for and may go on after the
// call has returned: what a call reads on the device stays there until then, which memory given
// back to a pool does (whoever gets it next comes later in the order). INTERNAL: the device has
// failed, now or at work of an earlier call; it will not work again in this process.
class Accelerator {
 public:
  virtual ~Accelerator() = default;
  // For people: "NVIDIA H100 80GB HBM3, compute 9.0".
  [[nodiscard]] virtual const std::string& name() const = 0;
  // The device's memory, as its driver gives it: slow, and without a bound but its size. Pointers
  // of it are not the host's to read. Thread-safe. Lives as long as this.
  [[nodiscard]] virtual MemoryResource& memory() = 0;
  // All of the device's, as far as the driver lets programs have it.
  [[nodiscard]] virtual std::size_t memory_bytes() const = 0;

  // Host to device. The host's bytes may change once it has returned.
  virtual Status upload(const RowCopy& copy) = 0;
  // Device to host, after all work that was asked for before; returns when the bytes are there.
  virtual Status download(const RowCopy& copy) = 0;
  // Within the device.
  virtual Status copy(const RowCopy& copy) = 0;
  virtual Status clear(void* memory, std::size_t bytes) = 0;
  // Returns when all work is done.
  virtual Status wait() = 0;

  // What works on its memory; both end before it. A GemmBackend whose pointers are the device's
  // (those of packed weights too); its workspace is of `memory`, which is the device's. UNAVAILABLE
  // where the library for it is missing.
  [[nodiscard]] virtual Result<std::unique_ptr<GemmBackend>> make_gemm(
      MemoryResource& memory, const DeviceGemmOptions& options) = 0;
  [[nodiscard]] virtual std::unique_ptr<DeviceKernels> make_kernels() = 0;
};

// One stretch of bytes.
[[nodiscard]] inline RowCopy bytes_copy(void* to, const void* from, std::size_t bytes) {
  return {to, bytes, from, bytes, bytes, 1};
}

}  // namespace overwinter::worker::cuda
