// Products by oneDNN, one single-threaded call for each thread of the team.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "worker/kernels/gemm.h"
#include "worker/kernels/packed_weights.h"
#include "worker/kernels/thread_team.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// What oneDNN 2.6.3 allocates by itself in one call, for each thread that calls it: packed copies
// of blocks of both factors, which grow with the longer side of C. Measured with its AVX2 kernels
// as the growth of resident memory over a call: 4.4 MiB for 512 x 512 x 512 (its code included), 6
// MiB for 512 x 8192 x 512. So a share with more columns is cut.
inline constexpr std::uint64_t kOneDnnThreadBytes = 12ULL << 20;
inline constexpr std::size_t kOneDnnColumnsMax = 8192;

// fp32; bf16 and fp16 where oneDNN has kernels for them on this processor (bf16 from AVX-512 on;
// 2.6.3 has none for fp16); int8. No fp64.
//
// int8 needs instructions that sum products in 32 bits (AVX512-VNNI, AMX). Without them oneDNN adds
// pairs of products in 16 bits, which saturate: wrong when an element is outside -63 … 63. So
// supports() denies int8 there; gemm() multiplies all the same, for whoever knows his elements.
//
// bf16, fp16 and int8 with alpha other than 1 or beta other than 0 (bf16, fp16: 0 and 1) go through
// a workspace of about 1 MiB a thread. That and scratch memory are of `memory`.
class OneDnnGemm final : public GemmBackend {
 public:
  // The team and the memory outlive it. Sets OpenMP's number of threads to one for each thread of
  // the team and the caller of gemm(): oneDNN of Debian would start a thread for each core.
  OneDnnGemm(ThreadTeam& team, MemoryResource& memory);
  ~OneDnnGemm() override;
  [[nodiscard]] std::string_view name() const override { return "oneDNN"; }
  [[nodiscard]] bool supports(GemmType type) const override;
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;  // UNIMPLEMENTED
  Status gemm(const Gemm<BFloat16>& problem) override;
  Status gemm(const Gemm<Float16>& problem) override;
  Status gemm(const Gemm<std::int8_t>& problem) override;
  // In oneDNN's own layout for this processor (format_tag::any), a piece for each thread.
  [[nodiscard]] Result<std::unique_ptr<PackedWeights>> pack(const GemmWeights& weights,
                                                            MemoryResource& memory) override;
  // Library version and instruction set: what a measured choice depends on.
  [[nodiscard]] static std::string description();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter::worker
