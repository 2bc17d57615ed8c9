// What a rank of a training holds. One list: the planner adds it up, the worker cuts its memory
// into exactly these pieces (worker/train/arena.h), so that a prediction is what will be held.
#pragma once

#include <cstdint>
#include <vector>

#include "common/plan/train_shape.h"

namespace overwinter::plan {

// A row is a token (gpt) or a sample (dense). R rows a micro-batch, C width, T context, L layers.
enum class TrainPiece {
  kWeights,
  kGradients,
  kMoments,                 // adamw: first and second; sgd with momentum: one
  kInputs,                  // gpt: tokens (int32), R; dense: R x inputs
  kTargets,                 // classes (int32), R; values: R x outputs
  kLosses,                  // double, one a thread
  kPartials,                // per thread: gradients of one norm's gain and bias, 2 C
  kResiduals,               // gpt from here on: (2 L + 1) of R x C
  kNorms,                   // (2 L + 1) of R x C
  kNormStatistics,          // (2 L + 1) of R x 2
  kQueryKeyValues,          // L of R x 3 C
  kAttentions,              // L of R x C
  kLogSums,                 // L of R x heads
  kHiddens,                 // L of R x 4 C, before gelu
  kActivated,               // L of R x 4 C, after it
  kLogits,                  // R x vocabulary; gradients in place
  kResidualGradients,       // 3 of R x C
  kNormGradients,           // R x C
  kQueryKeyValueGradients,  // R x 3 C
  kHiddenGradients,         // R x 4 C
  kAttentionScratch,        // per thread: two blocks of kAttentionRows x T, and R's deltas
  kOutputs,                 // dense from here on: R x width of each layer but the first
  kOutputGradients,         // 2 of R x the widest
  kCount,
};

inline constexpr std::uint64_t kAttentionRows = 64;  // queries of a block

// The norm of a gradient is summed over pieces of so many elements of a tensor, one record each.
inline constexpr std::uint64_t kNormElements = 65536;
inline constexpr std::uint64_t kNormRecordBytes = 24;

struct TrainRank {
  TrainShape shape;
  std::vector<TrainTensor> tensors;  // frozen ones marked
  std::uint64_t micro_batch = 1;     // the most samples at once
  std::uint32_t threads = 1;
  std::uint32_t optimizer_slots = 2;  // values kept per trainable parameter
  std::uint64_t table_bytes = 0;      // DataFacts::table_bytes
};

// What each of `ranks` ranks holds (at least 1, the same for all: the largest of them). The one way
// from a specification to the numbers: planner and worker both go it. INVALID_ARGUMENT with the
// field; a batch needs a sample for each rank and micro-batch.
[[nodiscard]] Result<TrainRank> train_rank(const v1::TrainSpec& spec, const DataFacts& data,
                                           std::uint64_t ranks, std::uint32_t threads);

// adamw 2, sgd with momentum 1, without 0.
[[nodiscard]] std::uint32_t optimizer_slots(const v1::OptimizerSpec& optimizer);

// Bytes of each piece by its number, saturating; 0 where the model has none.
[[nodiscard]] std::vector<std::uint64_t> train_pieces(const TrainRank& rank);

// What a step asks for beside them and gives back at its end: the records of the norm.
[[nodiscard]] std::uint64_t train_step_bytes(const TrainRank& rank);

// Where pieces and tensors begin: on multiples of a cache line.
inline constexpr std::uint64_t kTrainAlignment = 64;
[[nodiscard]] constexpr std::uint64_t train_aligned(std::uint64_t bytes) {
  return bytes > UINT64_MAX - kTrainAlignment
             ? UINT64_MAX
             : (bytes + kTrainAlignment - 1) / kTrainAlignment * kTrainAlignment;
}

struct TrainMemory {
  std::uint64_t weights_bytes = 0;
  std::uint64_t gradients_bytes = 0;
  std::uint64_t optimizer_bytes = 0;
  std::uint64_t activations_bytes = 0;  // kept from forward to backward
  std::uint64_t buffers_bytes = 0;      // the rest: table, a step's own, workspace too
  std::uint64_t workspace_bytes = 0;    // part of buffers: held by OpenBLAS, charged to the seat
  [[nodiscard]] std::uint64_t total_bytes() const;  // saturates
};
[[nodiscard]] TrainMemory train_memory(const TrainRank& rank);

// The message of it: counts, parts of the peak, what the data say. Time and digests are the
// planner's to add.
[[nodiscard]] v1::TrainPlan train_plan(const TrainRank& rank, const DataFacts& data,
                                       std::uint32_t accumulate);

}  // namespace overwinter::plan
