// Accelerator over the CUDA runtime. Only builds that have CUDA compile it (as all cuda_* files).
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>

#include "worker/cuda/accelerator.h"
#include "worker/cuda/device_resource.h"

namespace overwinter::worker::cuda {

// What the runtime said, as a Status; success for cudaSuccess. `doing`: what was being done.
[[nodiscard]] Status status_of(cudaError_t code, const char* doing);

class CudaDevice final : public Accelerator {
 public:
  // As open_gpu.
  [[nodiscard]] static Result<std::unique_ptr<CudaDevice>> open(int number);
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;
  ~CudaDevice() override;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] MemoryResource& memory() override { return memory_; }
  [[nodiscard]] std::size_t memory_bytes() const override { return memory_bytes_; }
  Status upload(const RowCopy& copy) override;
  Status download(const RowCopy& copy) override;
  Status copy(const RowCopy& copy) override;
  Status clear(void* memory, std::size_t bytes) override;
  Status wait() override;
  [[nodiscard]] Result<std::unique_ptr<GemmBackend>> make_gemm(
      MemoryResource& memory, const DeviceGemmOptions& options) override;
  [[nodiscard]] std::unique_ptr<DeviceKernels> make_kernels() override;

  // All work goes here. The calling thread's device is this one after use().
  [[nodiscard]] cudaStream_t stream() const { return stream_; }
  Status use() const;

 private:
  // cudaMalloc and cudaFree; the latter waits for all work of the device.
  class Raw final : public RawDeviceMemory {
   public:
    explicit Raw(int number) : number_(number) {}
    [[nodiscard]] Result<void*> take(std::size_t bytes) override;
    void give(void* memory) noexcept override;

   private:
    const int number_;
  };

  explicit CudaDevice(int number) : number_(number), raw_(number), memory_(raw_) {}
  Status start();
  Status copy_by(const RowCopy& copy, cudaMemcpyKind kind, const char* doing);

  const int number_;
  std::string name_;
  std::size_t memory_bytes_ = 0;
  cudaStream_t stream_ = nullptr;
  Raw raw_;
  DeviceResource memory_;
};

}  // namespace overwinter::worker::cuda
