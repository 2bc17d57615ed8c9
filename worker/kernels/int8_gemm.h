// Int8Gemm: products of int8 with exact sums in int32 for processors with AVX2 and without
// instructions for int8: pairs of terms are multiplied and added as int16 (vpmaddwd), which is
// exact, at up to twice the speed of fp32. Blocks of A and panels of B go through the caches as in
// Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34, 2008.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/kernels/gemm.h"
#include "worker/kernels/packed_weights.h"
#include "worker/kernels/thread_team.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// A tile of C that stays in registers, and how much of the factors is packed at once.
inline constexpr std::size_t kInt8TileRows = 6;
inline constexpr std::size_t kInt8TileColumns = 16;
inline constexpr std::size_t kInt8BlockRows = 96;
inline constexpr std::size_t kInt8BlockDepth = 1024;
inline constexpr std::size_t kInt8BlockColumns = 512;
// A block of A as int16 and one of B, of each thread; taken at the first product, kept.
inline constexpr std::size_t kInt8ThreadBytes =
    kInt8BlockRows * kInt8BlockDepth * sizeof(std::int16_t) + kInt8BlockColumns * kInt8BlockDepth;
static_assert(kInt8ThreadBytes < (std::size_t{1} << 20U), "within what a seat is charged for BLAS");

class Int8Gemm final : public GemmBackend {
 public:
  // Both outlive it.
  Int8Gemm(ThreadTeam& team, MemoryResource& memory) : team_(team), memory_(memory) {}
  [[nodiscard]] std::string_view name() const override { return "int8 by int16"; }
  // int8 alone, with AVX2.
  [[nodiscard]] bool supports(GemmType type) const override;
  Status gemm(const Gemm<float>& problem) override;  // UNIMPLEMENTED, as is all but int8
  Status gemm(const Gemm<double>& problem) override;
  Status gemm(const Gemm<std::int8_t>& problem) override;
  using GemmBackend::gemm;
  // B in panels: its bytes, columns rounded up to 16 and terms to 2.
  [[nodiscard]] Result<std::unique_ptr<PackedWeights>> pack(const GemmWeights& weights,
                                                            MemoryResource& memory) override;

 private:
  ThreadTeam& team_;
  MemoryResource& memory_;
  std::vector<Buffer> rooms_;  // one a thread
};

}  // namespace overwinter::worker
