// What a rank of a training holds. One list: the planner adds it up, the worker cuts its memory
// into exactly these pieces (worker/train/arena.h), so that a prediction is what will be held.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/plan/train_shape.h"

namespace overwinter::plan {

// What products multiply and what is kept from forward to backward. Sums, the residual stream, the
// weights that are updated and the optimiser are fp32 in each.
enum class TrainPrecision : std::uint8_t { kFp32, kBf16, kFp16 };

// A row is a token (gpt) or a sample (dense). R rows a micro-batch, C width, T context, L layers; e
// is 4 bytes in fp32, else 2, and what says "narrow" is nothing in fp32. With `recompute` a layer
// keeps what it begins with alone: where two counts stand the second is for it.
enum class TrainPiece {
  kWeights,
  kGradients,
  kMoments,                 // adamw: first and second; sgd with momentum: one
  kWeightCopies,            // narrow: of the matrices that products take
  kInputs,                  // gpt: tokens (int32), R; dense: R x inputs
  kInputCopies,             // narrow: dense
  kTargets,                 // classes (int32), R; values: R x outputs
  kLosses,                  // double, one a block of rows
  kPartials,                // gpt from here on. A block of rows: of one norm's gain and bias, 2 C
  kResiduals,               // (2 L + 1, L + 2) of R x C
  kNorms,                   // (2 L + 1, 3) of R x C x e
  kNormStatistics,          // as many of R x 2
  kQueryKeyValues,          // (L, 1) of R x 3 C x e
  kAttentions,              // (L, 1) of R x C x e
  kLogSums,                 // (L, 1) of R x heads
  kHiddens,                 // (L, 1) of R x 4 C x e, before gelu
  kActivated,               // (L, 1) of R x 4 C x e, after it
  kLogits,                  // head_rows() x vocabulary; gradients in place
  kLogitCopies,             // narrow
  kResidualGradients,       // 3 of R x C
  kResidualGradientCopies,  // narrow: 2 of R x C
  kNormGradients,           // R x C
  kQueryKeyValueGradients,  // R x 3 C x e
  kHiddenGradients,         // R x 4 C x e
  kAttentionScratch,  // a thread: 2 T x (a head's size + kAttentionRows); narrow: 7 T x that size
  kOutputs,           // dense from here on: R x width x e of each layer but the first
  kLastOutputs,       // narrow: R x outputs in fp32
  kOutputGradients,   // 2 of R x the widest x e
  kRowScratch,        // narrow, any model: a thread: 2 of kScratchRows x the widest
  kCount,
};

inline constexpr std::uint64_t kAttentionRows = 32;  // queries of a block
// Threads share rows in blocks of so many, and sums over rows are made over them one by one: so no
// number depends on how many threads there are. A multiple of 12, by which OpenBLAS's kernels take
// rows: cut elsewhere, a row's bits depend on where (worker/train/kept.h).
inline constexpr std::uint64_t kRowBlock = 24;
inline constexpr std::uint64_t kScratchRows = 240;
// Of logits there are no more than this at once, but for one such block of rows.
inline constexpr std::uint64_t kLogitBytes = 64ULL << 20;

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
  TrainPrecision precision = TrainPrecision::kFp32;
  bool recompute = false;  // gpt: activations are made again in backward
};

// How many rows have logits at the same time.
[[nodiscard]] std::uint64_t head_rows(const TrainRank& rank);

// What each of `ranks` ranks holds (at least 1, the same for all: the largest of them). The one way
// from a specification to the numbers: planner and worker both go it. INVALID_ARGUMENT with the
// field; a batch needs a sample for each rank and micro-batch.
[[nodiscard]] Result<TrainRank> train_rank(const v1::TrainSpec& spec, const DataFacts& data,
                                           std::uint64_t ranks, std::uint32_t threads);

// "fp32", "bf16", "fp16"; "auto" and nothing, which a plan decides (train_choice.h), are fp32 where
// there is none. INVALID_ARGUMENT for others.
[[nodiscard]] Result<TrainPrecision> train_precision(const std::string& name);
[[nodiscard]] bool is_auto_precision(const std::string& name);

[[nodiscard]] std::string_view train_precision_name(TrainPrecision precision);

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
  std::uint64_t workspace_bytes = 0;    // part of buffers: held by libraries, charged to the seat
  [[nodiscard]] std::uint64_t total_bytes() const;  // saturates
};
[[nodiscard]] TrainMemory train_memory(const TrainRank& rank);

// The message of it: counts, precision, parts of the peak, what the data say. Time and digests are
// the planner's to add.
[[nodiscard]] v1::TrainPlan train_plan(const TrainRank& rank, const DataFacts& data,
                                       std::uint32_t accumulate);

}  // namespace overwinter::plan
