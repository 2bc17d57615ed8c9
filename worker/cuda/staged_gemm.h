// GemmBackend for matrices of the host on an accelerator: blocks of them are copied there, and C
// back. What takes any backend (a tile of a product, Strassen) takes a GPU so.
#pragma once

#include <cstddef>
#include <string>

#include "worker/cuda/accelerator.h"
#include "worker/kernels/gemm.h"

namespace overwinter::worker::cuda {

// A block of C and of k: at most so many rows, columns and terms, all three blocks together in
// `bytes`. Whole where it fits; else the longest side is halved, until it does.
struct StagedBlocks {
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
};
[[nodiscard]] StagedBlocks staged_blocks(std::size_t m, std::size_t n, std::size_t k,
                                         std::size_t factor_bytes, std::size_t sum_bytes,
                                         std::size_t bytes);

// One caller at a time, as the accelerator. `inner` multiplies on the device; it and `memory` (the
// device's, a pool: each product asks for blocks) outlive this. At most `bytes` of the memory are
// held at once, for the time of a call; whatever inner takes comes on top. Errors and bounds are
// inner's: a product in pieces of k rounds as often as one in a piece. A call waits for its C.
class StagedGemm final : public GemmBackend {
 public:
  StagedGemm(Accelerator& device, GemmBackend& inner, MemoryResource& memory, std::size_t bytes);

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] bool supports(GemmType type) const override { return inner_.supports(type); }
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;
  Status gemm(const Gemm<BFloat16>& problem) override;
  Status gemm(const Gemm<Float16>& problem) override;
  Status gemm(const Gemm<std::int8_t>& problem) override;

 private:
  template <class T>
  Status multiply(Gemm<T> p);
  template <class T>
  Status block(const Gemm<T>& p, const StagedBlocks& size, std::size_t i, std::size_t j);

  Accelerator& device_;
  GemmBackend& inner_;
  MemoryResource& memory_;
  const std::size_t bytes_;
  const std::string name_;
};

}  // namespace overwinter::worker::cuda
