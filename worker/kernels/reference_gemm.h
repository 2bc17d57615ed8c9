// The slow, obvious twin of every fast product: three loops, sums in double, rounded once to the
// type of C; for int8 whole numbers of 64 bits, of which C takes the lower 32.
#pragma once

#include "worker/kernels/gemm.h"

namespace overwinter::worker {

class ReferenceGemm final : public GemmBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "reference"; }
  [[nodiscard]] bool supports(GemmType /*type*/) const override { return true; }
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;
  Status gemm(const Gemm<BFloat16>& problem) override;
  Status gemm(const Gemm<Float16>& problem) override;
  Status gemm(const Gemm<std::int8_t>& problem) override;
};

}  // namespace overwinter::worker
