// Products by OpenBLAS, one single-threaded call for each thread of the team.
#pragma once

#include <cstdint>

#include "worker/kernels/gemm.h"
#include "worker/kernels/thread_team.h"

namespace overwinter::worker {

// What OpenBLAS 0.3.21 touches of its packing buffers for each thread that calls it, fp64 being the
// worst of both: measured as the growth of the process's resident memory over a first call, kernels
// Zen, Haswell, Sandybridge: 1.8 MiB (fp32) and 3.4 MiB (fp64) at 1024 rows, growing by 1.3 and 2.5
// MiB for each 1024 more. A call here has at most 4096 rows: with fewer, B is packed again so often
// that it shows (1024: some 4 % of a 4096 x 4096 x 4096 product).
inline constexpr std::size_t kOpenBlasRowsMax = 4096;
inline constexpr std::uint64_t kOpenBlasThreadBytes = 12ULL << 20;

class OpenBlasGemm final : public GemmBackend {
 public:
  // The team outlives it. Sets OpenBLAS's own threads to one, for the whole process.
  explicit OpenBlasGemm(ThreadTeam& team);
  [[nodiscard]] std::string_view name() const override { return "OpenBLAS"; }
  using GemmBackend::gemm;
  Status gemm(const Gemm<float>& problem) override;
  Status gemm(const Gemm<double>& problem) override;
  // For the log: library version and kernel.
  [[nodiscard]] static std::string_view description();

 private:
  ThreadTeam& team_;
};

}  // namespace overwinter::worker
