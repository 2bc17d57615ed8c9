// The twin of a GPU: the same calls on the host's memory.
#pragma once

#include "worker/cuda/accelerator.h"
#include "worker/memory/host_resource.h"

namespace overwinter::worker::cuda {

// Everything is done when a call returns.
class HostAccelerator final : public Accelerator {
 public:
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] MemoryResource& memory() override { return memory_; }
  [[nodiscard]] std::size_t memory_bytes() const override;
  Status upload(const RowCopy& copy) override;
  Status download(const RowCopy& copy) override;
  Status copy(const RowCopy& copy) override;
  Status clear(void* memory, std::size_t bytes) override;
  Status wait() override { return Status::success(); }
  // host_gemm.h and host_kernels.h.
  [[nodiscard]] Result<std::unique_ptr<GemmBackend>> make_gemm(
      MemoryResource& memory, const DeviceGemmOptions& options) override;
  [[nodiscard]] std::unique_ptr<DeviceKernels> make_kernels() override;

 private:
  const std::string name_ = "the host's memory";
  HostResource memory_;
};

}  // namespace overwinter::worker::cuda
