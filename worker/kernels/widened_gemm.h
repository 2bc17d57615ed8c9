// Products of bf16, fp16 and int8 for a processor (or a library) without them: blocks of both
// factors are widened to fp32 and multiplied by another backend. Nothing is lost by it: fp32 holds
// each of these numbers.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/plan/memory_estimate.h"
#include "worker/kernels/gemm.h"
#include "worker/kernels/packed_weights.h"
#include "worker/kernels/thread_team.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// A side of the blocks. For int8 also what makes fp32 exact: 1,024 products of at most 2^14 sum to
// at most 2^24, up to where fp32 holds every whole number, so no order of adding rounds.
inline constexpr std::size_t kWidenedSide = 1024;
// A block of A, one of B, and for int8 one of their product; taken at the first product, kept.
inline constexpr std::uint64_t kWidenedBytes = 3ULL * kWidenedSide * kWidenedSide * sizeof(float);
static_assert(kWidenedBytes <= plan::kWideningBytes, "what a seat is charged");

class WidenedGemm final : public GemmBackend {
 public:
  // All three outlive it. `wide` multiplies fp32 on the same team; while this multiplies it is this
  // one's. It must be exact for whole numbers: no Strassen.
  WidenedGemm(GemmBackend& wide, ThreadTeam& team, MemoryResource& memory);
  [[nodiscard]] std::string_view name() const override { return "widened to fp32"; }
  [[nodiscard]] bool supports(GemmType type) const override;  // the three
  [[nodiscard]] bool widens(GemmType type) const override { return supports(type); }
  Status gemm(const Gemm<float>& problem) override;  // UNIMPLEMENTED, as is fp64
  Status gemm(const Gemm<double>& problem) override;
  Status gemm(const Gemm<BFloat16>& problem) override;
  Status gemm(const Gemm<Float16>& problem) override;
  Status gemm(const Gemm<std::int8_t>& problem) override;
  // Widened once: twice (bf16, fp16) or four times (int8) the bytes of B.
  [[nodiscard]] Result<std::unique_ptr<PackedWeights>> pack(const GemmWeights& weights,
                                                            MemoryResource& memory) override;

 private:
  GemmBackend& wide_;
  ThreadTeam& team_;
  MemoryResource& memory_;
  Buffer blocks_;
};

}  // namespace overwinter::worker
