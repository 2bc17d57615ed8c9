#include "common/plan/memory_estimate.h"

#include <algorithm>
#include <limits>

#include "common/plan/strassen_plan.h"

namespace overwinter::plan {
namespace {

// OpenBLAS copies blocks of at most these sides into its own buffers (GEMM_P and GEMM_Q of its
// x86-64 kernels are below them for both precisions).
constexpr std::uint64_t kBlasBlockRows = 1024;
constexpr std::uint64_t kBlasBlockDepth = 512;
// Its buffers are large mappings: under transparent huge pages the first touch of a part takes 2
// MiB, and there are two parts.
constexpr std::uint64_t kBlasMargin = 4ULL << 20;

}  // namespace

std::uint64_t MatmulMemory::panels_bytes() const {
  return saturating_sum(saturating_sum(saturating_product(a_blocks, a_block_bytes),
                                       saturating_product(b_blocks, b_block_bytes)),
                        saturating_product(c_tiles, c_tile_bytes));
}

std::uint64_t MatmulMemory::total_bytes() const {
  return saturating_sum(
      saturating_sum(saturating_sum(panels_bytes(), rounded_bytes), workspace_bytes),
      strassen_bytes);
}

std::uint64_t blas_workspace_bytes(std::uint64_t rows, std::uint64_t columns, std::uint64_t depth,
                                   Precision precision, std::uint32_t threads) {
  if (rows == 0 || columns == 0 || depth == 0) return 0;
  const std::uint64_t block_depth = std::min(depth, kBlasBlockDepth);
  // Which of the two factors is cut into blocks and which is copied whole depends on the storage
  // order.
  const std::uint64_t elements = saturating_product(
      saturating_sum(std::min({rows, columns, kBlasBlockRows}), std::max(rows, columns)),
      block_depth);
  const std::uint64_t per_thread =
      saturating_sum(saturating_product(elements, result_bytes(precision)), kBlasMargin);
  return saturating_product(per_thread, std::max<std::uint32_t>(threads, 1));
}

MatmulMemory matmul_memory(const MatmulGeometry& g, std::uint32_t threads) {
  MatmulMemory memory;
  if (g.m == 0 || g.n == 0) return memory;
  const auto bytes = [](std::uint64_t a, std::uint64_t b, std::uint64_t size) {
    return saturating_product(saturating_product(a, b), size);
  };
  memory.a_block_bytes = bytes(g.rows(), g.depth(), factor_bytes(g.precision));
  memory.b_block_bytes = bytes(g.depth(), g.columns(), factor_bytes(g.precision));
  memory.c_tile_bytes = bytes(g.rows(), g.columns(), result_bytes(g.precision));
  if (rounds_factors(g.precision)) {
    memory.rounded_bytes =
        bytes(saturating_sum(g.rows(), g.columns()), std::min(g.depth(), kRoundedDepth), 2);
  }
  const std::uint64_t panels_of_a = std::min(g.group_rows, g.grid().grid_rows());
  // A group is bounded by what fits a device, so its number of panels fits 32 bits.
  memory.a_blocks = g.whole_panels() ? static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                           panels_of_a, std::numeric_limits<std::uint32_t>::max()))
                                     : 2;
  memory.b_blocks = 2;
  memory.c_tiles = 2;
  memory.workspace_bytes =
      blas_workspace_bytes(g.rows(), g.columns(), g.depth(), g.precision, threads);
  if (g.k != 0 && is_narrow(g.precision)) {
    memory.workspace_bytes = saturating_sum(memory.workspace_bytes, kWideningBytes);
  }
  memory.strassen_bytes =
      strassen_workspace_bytes(g.rows(), g.depth(), g.columns(), g.strassen_levels,
                               factor_bytes(g.precision), !g.whole_panels());
  return memory;
}

}  // namespace overwinter::plan
