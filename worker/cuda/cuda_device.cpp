#include "worker/cuda/cuda_device.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/bytes.h"
#include "worker/cuda/cuda_gemm.h"
#include "worker/cuda/cuda_launch.h"
#include "worker/cuda/device_kernels.h"

namespace overwinter::worker::cuda {
namespace {

constexpr std::size_t kPitchMax = std::size_t{1} << 30;  // CUDA takes less than 2 GiB
constexpr int kComputeMajorMin = 8;  // what the kernels are compiled for (cmake/cuda.cmake)

Status unavailable(cudaError_t code) {
  return error(Code::kUnavailable,
               fmt::format("no GPU by CUDA here: {}", cudaGetErrorString(code)));
}

}  // namespace

Status status_of(cudaError_t code, const char* doing) {
  if (code == cudaSuccess) return Status::success();
  cudaGetLastError();  // else the next call would find it again
  return error(code == cudaErrorMemoryAllocation ? Code::kResourceExhausted : Code::kInternal,
               fmt::format("the GPU failed {}: {} ({})", doing, cudaGetErrorString(code),
                           cudaGetErrorName(code)));
}

Result<void*> CudaDevice::Raw::take(std::size_t bytes) {
  if (Status used = status_of(cudaSetDevice(number_), "to be chosen"); !used.ok())
    return fail(used);
  void* memory = nullptr;
  const cudaError_t code = cudaMalloc(&memory, bytes);
  if (code == cudaSuccess) return memory;
  cudaGetLastError();
  return fail(Code::kResourceExhausted, fmt::format("GPU {} has no {} of memory left: {}", number_,
                                                    format_bytes(bytes), cudaGetErrorString(code)));
}

void CudaDevice::Raw::give(void* memory) noexcept {
  // Fails only after the device has failed, which the next call tells.
  cudaSetDevice(number_);
  cudaFree(memory);
}

Result<std::unique_ptr<CudaDevice>> CudaDevice::open(int number) {
  int count = 0;
  if (const cudaError_t code = cudaGetDeviceCount(&count); code != cudaSuccess) {
    cudaGetLastError();
    return fail(unavailable(code));
  }
  if (number < 0 || number >= count) {
    return fail(Code::kUnavailable,
                fmt::format("there is no GPU {} here: CUDA sees {}", number, count));
  }
  std::unique_ptr<CudaDevice> device(new CudaDevice(number));
  if (Status started = device->start(); !started.ok()) return fail(started);
  return device;
}

Status CudaDevice::start() {
  cudaDeviceProp properties{};
  if (const cudaError_t code = cudaGetDeviceProperties(&properties, number_); code != cudaSuccess)
    return unavailable(code);
  name_ = fmt::format("{}, compute {}.{}", static_cast<const char*>(properties.name),
                      properties.major, properties.minor);
  memory_bytes_ = properties.totalGlobalMem;
  if (properties.major < kComputeMajorMin) {
    return error(Code::kUnavailable,
                 fmt::format("{} is too old: compute {}.0 is the least", name_, kComputeMajorMin));
  }
  if (Status used = use(); !used.ok()) return used;
  return status_of(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "to make a stream");
}

CudaDevice::~CudaDevice() {
  if (stream_ == nullptr) return;
  cudaSetDevice(number_);
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}

Status CudaDevice::use() const {
  return status_of(cudaSetDevice(number_), "to be chosen");
}

// By rows in one call, but for strides that such a call does not take; without gaps as one stretch.
Status CudaDevice::copy_by(const RowCopy& copy, cudaMemcpyKind kind, const char* doing) {
  if (copy.rows == 0 || copy.row_bytes == 0) return Status::success();
  if (Status used = use(); !used.ok()) return used;
  const bool dense = copy.rows == 1 || (copy.to_stride_bytes == copy.row_bytes &&
                                        copy.from_stride_bytes == copy.row_bytes);
  if (dense) {
    return status_of(cudaMemcpyAsync(copy.to, copy.from, copy.rows * copy.row_bytes, kind, stream_),
                     doing);
  }
  if (std::max(copy.to_stride_bytes, copy.from_stride_bytes) <= kPitchMax) {
    return status_of(
        cudaMemcpy2DAsync(copy.to, copy.to_stride_bytes, copy.from, copy.from_stride_bytes,
                          copy.row_bytes, copy.rows, kind, stream_),
        doing);
  }
  for (std::size_t row = 0; row < copy.rows; ++row) {
    const cudaError_t code =
        cudaMemcpyAsync(static_cast<std::byte*>(copy.to) + row * copy.to_stride_bytes,
                        static_cast<const std::byte*>(copy.from) + row * copy.from_stride_bytes,
                        copy.row_bytes, kind, stream_);
    if (code != cudaSuccess) return status_of(code, doing);
  }
  return Status::success();
}

// From memory that is not pinned the runtime has staged all bytes when it returns; from pinned
// memory it has not, so both wait.
Status CudaDevice::upload(const RowCopy& copy) {
  if (Status s = copy_by(copy, cudaMemcpyHostToDevice, "to take a copy"); !s.ok()) return s;
  return wait();
}

Status CudaDevice::download(const RowCopy& copy) {
  if (Status s = copy_by(copy, cudaMemcpyDeviceToHost, "to give a copy"); !s.ok()) return s;
  return wait();
}

Status CudaDevice::copy(const RowCopy& copy) {
  return copy_by(copy, cudaMemcpyDeviceToDevice, "to copy");
}

Status CudaDevice::clear(void* memory, std::size_t bytes) {
  if (bytes == 0) return Status::success();
  if (Status used = use(); !used.ok()) return used;
  return status_of(cudaMemsetAsync(memory, 0, bytes, stream_), "to clear memory");
}

Status CudaDevice::wait() {
  if (Status used = use(); !used.ok()) return used;
  return status_of(cudaStreamSynchronize(stream_), "to finish its work");
}

Result<std::unique_ptr<GemmBackend>> CudaDevice::make_gemm(MemoryResource& memory,
                                                           const DeviceGemmOptions& options) {
  auto steps = make_cuda_gemm_steps(*this, memory, options);
  if (!steps) return fail(steps.error());
  return std::make_unique<DeviceGemm>(*this, memory, *std::move(steps));
}

std::unique_ptr<DeviceKernels> CudaDevice::make_kernels() {
  return make_cuda_kernels(*this);
}

}  // namespace overwinter::worker::cuda
