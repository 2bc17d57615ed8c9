// The launcher of kernels_over.h on a GPU. For *.cu files.
#pragma once

#include <climits>
#include <cstddef>

#include "worker/cuda/cuda_device.h"
#include "worker/cuda/team.h"

namespace overwinter::worker::cuda {

// The teams of team.h as threads. Their functions are for both sides, because what calls them is,
// and are called on the device alone.
class GpuRowTeam {
 public:
  template <class Work>
  OW_BOTH void each(std::size_t n, const Work& work) const {
    for (std::size_t j = lane(); j < n; j += kRowLanes) work(j);
  }
  template <class T, class Term>
  OW_BOTH T sum(std::size_t n, const Term& term) const {
    T own = 0;
    for (std::size_t j = lane(); j < n; j += kRowLanes) own += term(j);
#ifdef __CUDA_ARCH__
    for (int apart = kRowLanes / 2; apart > 0; apart /= 2)
      own += __shfl_xor_sync(0xffffffffU, own, apart);
#endif
    return own;
  }
  template <class Term>
  OW_BOTH float largest(std::size_t n, const Term& term) const {
    float most = -INFINITY;
    for (std::size_t j = lane(); j < n; j += kRowLanes) most = ::fmaxf(most, term(j));
#ifdef __CUDA_ARCH__
    for (int apart = kRowLanes / 2; apart > 0; apart /= 2)
      most = ::fmaxf(most, __shfl_xor_sync(0xffffffffU, most, apart));
#endif
    return most;
  }
  // The others wait: what it reads, they may be about to write.
  template <class Work>
  OW_BOTH void once(const Work& work) const {
    if (lane() == 0) work();
#ifdef __CUDA_ARCH__
    __syncwarp();
#endif
  }

 private:
  OW_BOTH static std::size_t lane() {
#ifdef __CUDA_ARCH__
    return threadIdx.x % kRowLanes;
#else
    return 0;
#endif
  }
};

class GpuBlockTeam {
 public:
  template <class Task>
  OW_BOTH void each(std::size_t n, const Task& task) const {
#ifdef __CUDA_ARCH__
    for (std::size_t i = threadIdx.x; i < n; i += kBlockLanes) task(i);
    __syncthreads();
#endif
  }
};

inline constexpr std::size_t kThreads = 256;

template <class Op>
__global__ void __launch_bounds__(kThreads) rows_kernel(const Op op, std::size_t n) {
  const std::size_t row = (std::size_t{blockIdx.x} * kThreads + threadIdx.x) / kRowLanes;
  if (row < n) op(GpuRowTeam(), row);  // a warp stays or goes as one
}

template <class Op>
__global__ void __launch_bounds__(kThreads) elements_kernel(const Op op, std::size_t n) {
  const std::size_t i = std::size_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) op(i);
}

template <class Op>
__global__ void __launch_bounds__(kBlockLanes) blocks_kernel(const Op op) {
  extern __shared__ float shared[];
  op(GpuBlockTeam(), blockIdx.x, shared);
}

class GpuLauncher {
 public:
  explicit GpuLauncher(const CudaDevice& device) : device_(&device) {}

  template <class Op>
  Status rows(std::size_t n, const Op& op) const {
    constexpr std::size_t kRows = kThreads / kRowLanes;
    return start(n / kRows + (n % kRows != 0), [&](unsigned grid) {
      rows_kernel<Op><<<grid, kThreads, 0, device_->stream()>>>(op, n);
    });
  }
  template <class Op>
  Status elements(std::size_t n, const Op& op) const {
    return start(n / kThreads + (n % kThreads != 0), [&](unsigned grid) {
      elements_kernel<Op><<<grid, kThreads, 0, device_->stream()>>>(op, n);
    });
  }
  template <class Op>
  Status blocks(const Op& op) const {
    constexpr int kBytes = Op::kSharedFloats * sizeof(float);
    if (Status used = device_->use(); !used.ok()) return used;
    // More than 48 KiB has to be asked for; how much there is differs from GPU to GPU.
    if (cudaFuncSetAttribute(blocks_kernel<Op>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             kBytes) != cudaSuccess) {
      cudaGetLastError();
      return error(Code::kUnimplemented, "this GPU has too little shared memory for the kernel");
    }
    return start(op.blocks(), [&](unsigned grid) {
      blocks_kernel<Op><<<grid, kBlockLanes, kBytes, device_->stream()>>>(op);
    });
  }

 private:
  template <class Launch>
  Status start(std::size_t grid, const Launch& launch) const {
    if (grid == 0) return Status::success();
    if (grid > INT_MAX) return error(Code::kOutOfRange, "more work than a GPU takes in one call");
    if (Status used = device_->use(); !used.ok()) return used;
    launch(static_cast<unsigned>(grid));
    return status_of(cudaGetLastError(), "to start a kernel");
  }

  const CudaDevice* device_;
};

}  // namespace overwinter::worker::cuda
