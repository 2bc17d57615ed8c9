// What libraries hold for the products of a training's step, beside what the worker allocates
// itself. Internal to the room: it is a part of train_memory().
#pragma once

#include <cstdint>
#include <vector>

#include "common/plan/train_memory.h"

namespace overwinter::plan {

// The most rows that a product of an engine's thread has (worker/train/kept.h).
inline constexpr std::uint64_t kWideProductRows = 170 * kRowBlock;
inline constexpr std::uint64_t kNarrowProductRows = 42 * kRowBlock;

// One product of a thread: m x n = (m x k)(k x n).
struct TrainProduct {
  std::uint64_t m = 0;
  std::uint64_t n = 0;
  std::uint64_t k = 0;
};
// Those of a step on one thread that has the largest share, each of the largest size it comes in.
[[nodiscard]] std::vector<TrainProduct> train_products(const TrainRank& rank);

// Bytes of all threads, saturating. By OpenBLAS's own blocks: of one factor it copies at most 640 x
// 320 elements, of the other 320 x m, kept whole only where n is above one such block (its level-3
// driver, "l1stride"). In 16 bits products are widened block by block
// (worker/kernels/widened_gemm.h) into blocks of at most 1,024 x 1,024 of both factors, and
// OpenBLAS multiplies those. Measured with OpenBLAS 0.3.21 on a processor with AVX2: tests/bench,
// suite memory-estimate.
[[nodiscard]] std::uint64_t train_workspace_bytes(const TrainRank& rank);

}  // namespace overwinter::plan
