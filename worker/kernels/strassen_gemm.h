// StrassenGemm: large products by Strassen's method in Winograd's form (7 products and 15 additions
// of halves, again for each level) over another backend, which multiplies what is left.
#pragma once

#include <stop_token>
#include <utility>

#include "common/plan/strassen_plan.h"
#include "worker/kernels/gemm.h"
#include "worker/kernels/thread_team.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// fp32 and fp64; a backend like any other but for two things: how far a result may be off is
// plan::strassen_bound's, which knows the largest elements of A and B alone, so a small row beside
// large ones has lost digits; and it takes a workspace.
//
// The schedule (after Douglas, Heroux, Slishman and Smith, GEMMW, J. Comput. Phys. 110, 1994, and
// Boyer, Dumas, Pernet and Zhou, ISSAC 2009; sums named as there): with X, and Z, which is the
// quarter C22 itself where C is not added to,
//
//   S1 S2 S3 of A, T1 T2 T3 of B;   X = A11 B11;   C11 = X + beta C11, then += A12 B21
//   Z = S1 T1;   X += S2 T2;   S4 = A12 - S2, T4 = T2 - B21
//   C12 = X + Z + beta C12, then += S4 B22;   X += S3 T3
//   C21 = X + beta C21, C22 = X + Z + beta C22;   C21 -= A22 T4
//
// Seven passes of additions, since products add into sums by themselves and a pass makes all sums
// that share what it reads. Odd sides: what does not divide by 2^levels is peeled off at the first
// level (Huss-Lederman et al., SC96) and multiplied plainly.
//
// A product with an infinity or NaN in A or B, or with elements so large that a sum in between
// could pass the largest number, is multiplied plainly: they go where IEEE 754 takes them.
class StrassenGemm final : public GemmBackend {
 public:
  // All outlive it. Until it is told, nothing is halved.
  StrassenGemm(GemmBackend& base, ThreadTeam& team, MemoryResource& memory)
      : base_(base), team_(team), memory_(memory) {}
  [[nodiscard]] std::string_view name() const override { return "Strassen-Winograd"; }
  using GemmBackend::gemm;
  // RESOURCE_EXHAUSTED: no memory for the workspace; C is as it was.
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;

  void use(GemmType type, const plan::StrassenRule& rule);
  [[nodiscard]] const plan::StrassenRule& rule(GemmType type) const;
  // Asked between the products of halves: CANCELLED then, and C is whatever it was.
  void stop_on(std::stop_token stop) { stop_ = std::move(stop); }
  // The workspace of a product that is `bytes` large (plan::strassen_workspace_bytes) is had now
  // and not in the middle. It is kept and grows with larger products, until release().
  Status reserve(std::size_t bytes);
  void release() { workspace_ = Buffer(); }

 private:
  template <class T>
  Status multiply(Gemm<T> problem);

  GemmBackend& base_;
  ThreadTeam& team_;
  MemoryResource& memory_;
  plan::StrassenRule fp32_;
  plan::StrassenRule fp64_;
  Buffer workspace_;
  std::stop_token stop_;
};

}  // namespace overwinter::worker
