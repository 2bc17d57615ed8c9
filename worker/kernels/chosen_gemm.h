// ChosenGemm: for each product the library that was measured as the fastest on this machine.
#pragma once

#include <string>

#include "worker/kernels/gemm.h"
#include "worker/kernels/gemm_choice.h"
#include "worker/kernels/int8_gemm.h"
#include "worker/kernels/onednn_gemm.h"
#include "worker/kernels/openblas_gemm.h"
#include "worker/kernels/packed_weights.h"
#include "worker/kernels/thread_team.h"
#include "worker/kernels/widened_gemm.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Every type, on every processor: one that it has no instructions for is widened to fp32.
class ChosenGemm final : public GemmBackend {
 public:
  // Both outlive it; workspaces are of the memory. Until it is told: plain_choice().
  ChosenGemm(ThreadTeam& team, MemoryResource& memory);
  [[nodiscard]] std::string_view name() const override { return "chosen"; }
  [[nodiscard]] bool supports(GemmType /*type*/) const override { return true; }
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;
  Status gemm(const Gemm<BFloat16>& problem) override;
  Status gemm(const Gemm<Float16>& problem) override;
  Status gemm(const Gemm<std::int8_t>& problem) override;
  [[nodiscard]] Result<std::unique_ptr<PackedWeights>> pack(const GemmWeights& weights,
                                                            MemoryResource& memory) override;

  // Nothing measured: OpenBLAS for fp32 and fp64; for the rest oneDNN where it has kernels here,
  // else for int8 Int8Gemm.
  [[nodiscard]] GemmChoice plain_choice() const;
  [[nodiscard]] const GemmChoice& choice() const { return choice_; }
  // A library that lacks a type here is passed over (a choice of another processor).
  void use(const GemmChoice& choice);
  // The processor has no instructions for the type (or none with exact sums).
  [[nodiscard]] bool widens(GemmType type) const override;
  // The libraries that have the type here, the preferred first.
  [[nodiscard]] std::vector<GemmLibrary> candidates(GemmType type) const;
  [[nodiscard]] GemmBackend& backend(GemmLibrary library);

 private:
  template <class T>
  Status dispatch(const Gemm<T>& problem);

  OpenBlasGemm openblas_;
  OneDnnGemm onednn_;
  Int8Gemm int16_;
  WidenedGemm widened_;  // over this: fp32 by whatever is chosen for it
  GemmChoice choice_;
};

// The fastest of the candidates for each type and class, by one product of each class, again and
// again in turns, the least time counting; the first turn may be the only one. Takes about
// `seconds_each` for each type that has several candidates (fp32, int8; bf16 where the processor
// has instructions for it), at most one product more; what it could not get to is as in
// plain_choice(), with 0 GFLOP/s. Allocates 20 MiB for a while. Uses nothing of what it finds.
[[nodiscard]] GemmChoice measure_gemm_choice(ChosenGemm& gemm, double seconds_each);

// GFLOP/s of one square product, again and again for about `seconds`, small enough to stay in
// caches; of the fastest turn. 0: the backend lacks the type.
[[nodiscard]] double measure_gflops(GemmBackend& backend, GemmType type, double seconds);

// Processor and libraries with their instruction sets; `cpu`: as the system names it (hypervisors
// give different processors one name). Asked before OpenBLAS's kernels are changed.
[[nodiscard]] std::string gemm_key(const std::string& cpu);

// For the log: what is multiplied how, and which types in another one: "fp32 by onednn (few-rows,
// small) openblas (…); …; bf16, fp16, int8 in fp32: this processor has no instructions …".
[[nodiscard]] std::string describe(const ChosenGemm& gemm);

}  // namespace overwinter::worker
