#include "worker/cuda/host_accelerator.h"

#include <unistd.h>

#include <cstring>

#include "worker/cuda/host_gemm.h"
#include "worker/cuda/host_kernels.h"

namespace overwinter::worker::cuda {

std::size_t HostAccelerator::memory_bytes() const {
  return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

Status HostAccelerator::copy(const RowCopy& copy) {
  if (copy.row_bytes == 0) return Status::success();
  auto* to = static_cast<std::byte*>(copy.to);
  const auto* from = static_cast<const std::byte*>(copy.from);
  for (std::size_t row = 0; row < copy.rows; ++row) {
    std::memcpy(to + row * copy.to_stride_bytes, from + row * copy.from_stride_bytes,
                copy.row_bytes);
  }
  return Status::success();
}

Status HostAccelerator::upload(const RowCopy& copy) {
  return this->copy(copy);
}

Status HostAccelerator::download(const RowCopy& copy) {
  return this->copy(copy);
}

Status HostAccelerator::clear(void* memory, std::size_t bytes) {
  if (bytes != 0) std::memset(memory, 0, bytes);
  return Status::success();
}

Result<std::unique_ptr<GemmBackend>> HostAccelerator::make_gemm(MemoryResource& memory,
                                                                const DeviceGemmOptions& /*o*/) {
  return std::make_unique<DeviceGemm>(*this, memory, make_host_gemm_steps());
}

std::unique_ptr<DeviceKernels> HostAccelerator::make_kernels() {
  return make_host_kernels();
}

}  // namespace overwinter::worker::cuda
