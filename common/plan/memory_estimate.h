// What a seat of a product holds at its peak. One formula: the planner predicts with it and
// reserves it, the worker's memory resource enforces it.
#pragma once

#include <cstdint>

#include "common/plan/matmul_geometry.h"

namespace overwinter::plan {

// Bytes of each part at the same moment, and how many buffers of it the worker may hold.
struct MatmulMemory {
  std::uint64_t a_block_bytes = 0;  // one panel (or block) of A
  std::uint64_t b_block_bytes = 0;
  std::uint64_t c_tile_bytes = 0;
  std::uint32_t a_blocks = 0;         // whole panels: those of a group; streamed: in use and next
  std::uint32_t b_blocks = 0;         // in use and next
  std::uint32_t c_tiles = 0;          // being computed, and being sent
  std::uint64_t rounded_bytes = 0;    // parts of both panels, rounded to 16 bits
  std::uint64_t workspace_bytes = 0;  // of the BLAS library, over all threads, and of widening
  std::uint64_t strassen_bytes = 0;   // temporaries of a product that is halved

  [[nodiscard]] std::uint64_t panels_bytes() const;
  [[nodiscard]] std::uint64_t total_bytes() const;  // saturates
};

// Factors that are rounded are so over this depth at once.
inline constexpr std::uint64_t kRoundedDepth = 1024;
// What a processor without instructions for bf16, fp16 or int8 widens them into: three blocks of
// 1,024 x 1,024 in fp32 (worker/kernels/widened_gemm.h).
inline constexpr std::uint64_t kWideningBytes = 12ULL << 20;

// threads: those of the device, at least 1.
[[nodiscard]] MatmulMemory matmul_memory(const MatmulGeometry& geometry, std::uint32_t threads);

// What OpenBLAS touches for packed copies in one call over tiles of these sides (it maps far more
// and touches only this; only touched pages are memory). Per thread: a block of one factor, of at
// most 1,024 x 512 elements, a slice of the other, 512 x its whole side, and a margin for page
// rounding. Measured with OpenBLAS 0.3.21 (Haswell and Cooperlake kernels, 1 and 2 threads): 204
// KiB for 64 x 64 x 64, 1.9 MiB for 1024 x 4096 x 1024, 8.6 MiB for 8192 x 512 x 512, 6.6 MiB for
// fp64 2048 x 2048 x 2048; the formula gives 4.2, 8, 21 and 24 MiB a thread.
[[nodiscard]] std::uint64_t blas_workspace_bytes(std::uint64_t rows, std::uint64_t columns,
                                                 std::uint64_t depth, Precision precision,
                                                 std::uint32_t threads);

}  // namespace overwinter::plan
