// The slow, obvious twin of every fast product: three loops, sums in double.
#pragma once

#include "worker/kernels/gemm.h"

namespace overwinter::worker {

class ReferenceGemm final : public GemmBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "reference"; }
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;
};

}  // namespace overwinter::worker
