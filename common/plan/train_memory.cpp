#include "common/plan/train_memory.h"

#include <algorithm>
#include <initializer_list>

#include "common/plan/matmul_geometry.h"
#include "common/plan/train_batch.h"
#include "common/plan/train_workspace.h"

namespace overwinter::plan {
namespace {

constexpr std::uint64_t kFloat = 4;
constexpr std::uint64_t kNarrow = 2;

std::uint64_t product(std::initializer_list<std::uint64_t> factors) {
  std::uint64_t all = 1;
  for (const std::uint64_t factor : factors) all = saturating_product(all, factor);
  return all;
}

class Pieces {
 public:
  Pieces() : bytes_(static_cast<std::size_t>(TrainPiece::kCount), 0) {}
  std::uint64_t& operator[](TrainPiece piece) { return bytes_[static_cast<std::size_t>(piece)]; }
  std::vector<std::uint64_t> take() { return std::move(bytes_); }

 private:
  std::vector<std::uint64_t> bytes_;
};

bool is_narrow(const TrainRank& rank) {
  return rank.precision != TrainPrecision::kFp32;
}

// Bytes of an element that is kept for products.
std::uint64_t kept(const TrainRank& rank) {
  return is_narrow(rank) ? kNarrow : kFloat;
}

void parameters(const TrainRank& rank, Pieces& p) {
  for (const TrainTensor& tensor : rank.tensors) {
    const std::uint64_t bytes = train_aligned(product({tensor.elements(), kFloat}));
    p[TrainPiece::kWeights] = saturating_sum(p[TrainPiece::kWeights], bytes);
    if (tensor.trainable)
      p[TrainPiece::kGradients] = saturating_sum(p[TrainPiece::kGradients], bytes);
    if (is_narrow(rank) && tensor.shape.size() == 2)
      p[TrainPiece::kWeightCopies] = saturating_sum(
          p[TrainPiece::kWeightCopies], train_aligned(product({tensor.elements(), kNarrow})));
  }
  p[TrainPiece::kMoments] = product({p[TrainPiece::kGradients], rank.optimizer_slots});
}

std::uint64_t row_blocks(std::uint64_t rows) {
  return rows / kRowBlock + (rows % kRowBlock == 0 ? 0 : 1);
}

void row_scratch(const TrainRank& rank, std::uint64_t rows, std::uint64_t widest, Pieces& p) {
  if (is_narrow(rank))
    p[TrainPiece::kRowScratch] = product(
        {rank.threads, 2, train_aligned(product({std::min(rows, kScratchRows), widest, kFloat}))});
}

void gpt(const TrainRank& rank, Pieces& p) {
  const TrainShape& s = rank.shape;
  const bool narrow = is_narrow(rank);
  const std::uint64_t r = product({rank.micro_batch, s.context});
  const std::uint64_t rc = product({r, s.width, kFloat});
  const std::uint64_t e = product({r, s.width, kept(rank)});
  const std::uint64_t layers = rank.recompute ? 1 : s.layers;
  const std::uint64_t norms = rank.recompute ? 3 : 2 * s.layers + 1;
  p[TrainPiece::kInputs] = product({r, 4});
  p[TrainPiece::kTargets] = product({r, 4});
  p[TrainPiece::kLosses] = product({row_blocks(r), sizeof(double)});
  p[TrainPiece::kPartials] = product({row_blocks(r), 2, train_aligned(product({s.width, kFloat}))});
  p[TrainPiece::kResiduals] = product({rank.recompute ? s.layers + 2 : norms, rc});
  p[TrainPiece::kNorms] = product({norms, e});
  p[TrainPiece::kNormStatistics] = product({norms, r, 2, kFloat});
  p[TrainPiece::kQueryKeyValues] = product({layers, 3, e});
  p[TrainPiece::kAttentions] = product({layers, e});
  p[TrainPiece::kLogSums] = product({layers, r, s.heads, kFloat});
  p[TrainPiece::kHiddens] = product({layers, 4, e});
  p[TrainPiece::kActivated] = product({layers, 4, e});
  p[TrainPiece::kLogits] = product({head_rows(rank), s.vocabulary, kFloat});
  p[TrainPiece::kResidualGradients] = product({3, rc});
  p[TrainPiece::kNormGradients] = rc;
  p[TrainPiece::kQueryKeyValueGradients] = product({3, e});
  p[TrainPiece::kHiddenGradients] = product({4, e});
  std::uint64_t scratch = product(
      {2, s.context, saturating_sum(s.width / s.heads, std::min(kAttentionRows, s.context))});
  if (narrow) {
    p[TrainPiece::kLogitCopies] = product({head_rows(rank), s.vocabulary, kNarrow});
    p[TrainPiece::kResidualGradientCopies] = product({2, e});
    scratch = saturating_sum(scratch, product({7, s.context, s.width / s.heads}));
  }
  p[TrainPiece::kAttentionScratch] =
      product({rank.threads, train_aligned(product({scratch, kFloat}))});
  row_scratch(rank, r, product({4, s.width}), p);
}

void dense(const TrainRank& rank, Pieces& p) {
  const std::vector<std::uint64_t>& widths = rank.shape.widths;
  const std::uint64_t r = rank.micro_batch;
  std::uint64_t outputs = 0;
  std::uint64_t widest = 0;
  for (std::size_t i = 1; i < widths.size(); ++i) {
    outputs = saturating_sum(outputs, train_aligned(product({r, widths[i], kept(rank)})));
    widest = std::max(widest, widths[i]);
  }
  p[TrainPiece::kInputs] = product({r, widths.front(), kFloat});
  p[TrainPiece::kTargets] =
      rank.shape.classes ? product({r, 4}) : product({r, widths.back(), kFloat});
  p[TrainPiece::kLosses] = product({row_blocks(r), sizeof(double)});
  p[TrainPiece::kOutputs] = outputs;
  p[TrainPiece::kOutputGradients] = product({2, train_aligned(product({r, widest, kept(rank)}))});
  if (is_narrow(rank)) {
    p[TrainPiece::kInputCopies] = product({r, widths.front(), kNarrow});
    p[TrainPiece::kLastOutputs] = product({r, widths.back(), kFloat});
  }
  row_scratch(rank, r, widest, p);
}

bool is_activation(TrainPiece piece) {
  return piece == TrainPiece::kInputs || piece == TrainPiece::kInputCopies ||
         piece == TrainPiece::kTargets || piece == TrainPiece::kOutputs ||
         piece == TrainPiece::kLastOutputs ||
         (piece >= TrainPiece::kResiduals && piece <= TrainPiece::kLogitCopies);
}

}  // namespace

Result<TrainRank> train_rank(const v1::TrainSpec& spec, const DataFacts& data, std::uint64_t ranks,
                             std::uint32_t threads) {
  auto shape = train_shape(spec.model(), data);
  if (!shape) return fail(shape.error());
  TrainRank rank;
  rank.shape = std::move(*shape);
  rank.tensors = train_tensors(rank.shape);
  const std::vector<std::string> freeze(spec.freeze().begin(), spec.freeze().end());
  if (Status s = freeze_tensors(freeze, rank.tensors); !s.ok()) return fail(s);
  const std::uint64_t batch = spec.batch_size();
  const std::uint64_t pieces = std::max<std::uint32_t>(spec.accumulate(), 1);
  if (batch == 0 || batch > kTrainBatchMax)
    return fail(Code::kInvalidArgument,
                "A batch of " + std::to_string(batch) + "; it has 1 to " +
                    std::to_string(kTrainBatchMax) + " samples.",
                "workload.train.batch_size");
  if (batch < saturating_product(ranks, pieces))
    return fail(Code::kInvalidArgument,
                "A batch of " + std::to_string(batch) + " has no sample for each of " +
                    std::to_string(ranks) + " ranks with " + std::to_string(pieces) +
                    (pieces == 1 ? " micro-batch." : " micro-batches."),
                "workload.train.batch_size", "Take a larger batch, or fewer workers.");
  rank.micro_batch = largest_micro_batch(batch, ranks, spec.accumulate());
  rank.threads = std::max<std::uint32_t>(threads, 1);
  rank.optimizer_slots = optimizer_slots(spec.optimizer());
  rank.table_bytes = data.table_bytes;
  const auto precision = train_precision(spec.precision());
  if (!precision) return fail(precision.error());
  rank.precision = *precision;
  rank.recompute = spec.activations() == "recomputed" && rank.shape.kind == TrainKind::kGpt;
  return rank;
}

Result<TrainPrecision> train_precision(const std::string& name) {
  if (is_auto_precision(name) || name == "fp32") return TrainPrecision::kFp32;
  if (name == "bf16") return TrainPrecision::kBf16;
  if (name == "fp16") return TrainPrecision::kFp16;
  return fail(Code::kInvalidArgument,
              "The precision " + name + " is unknown; there are: auto, fp32, bf16, fp16.",
              "workload.train.precision");
}

bool is_auto_precision(const std::string& name) {
  return name.empty() || name == "auto";
}

std::string_view train_precision_name(TrainPrecision precision) {
  switch (precision) {
    case TrainPrecision::kBf16:
      return "bf16";
    case TrainPrecision::kFp16:
      return "fp16";
    case TrainPrecision::kFp32:
      break;
  }
  return "fp32";
}

std::uint64_t head_rows(const TrainRank& rank) {
  const std::uint64_t rows = product({rank.micro_batch, rank.shape.context});
  const std::uint64_t fit = kLogitBytes / product({rank.shape.vocabulary, kFloat});
  return std::min(rows, std::max(fit / kRowBlock * kRowBlock, kRowBlock));
}

std::uint32_t optimizer_slots(const v1::OptimizerSpec& optimizer) {
  if (!optimizer.has_sgd()) return 2;
  return optimizer.sgd().momentum() > 0 ? 1 : 0;
}

std::vector<std::uint64_t> train_pieces(const TrainRank& rank) {
  Pieces p;
  parameters(rank, p);
  if (rank.shape.kind == TrainKind::kGpt) {
    gpt(rank, p);
  } else {
    dense(rank, p);
  }
  return p.take();
}

std::uint64_t train_step_bytes(const TrainRank& rank) {
  std::uint64_t records = 0;
  for (const TrainTensor& tensor : rank.tensors) {
    if (!tensor.trainable) continue;
    const std::uint64_t count = tensor.elements();
    records = saturating_sum(records, count / kNormElements + (count % kNormElements == 0 ? 0 : 1));
  }
  return product({records, kNormRecordBytes});
}

std::uint64_t TrainMemory::total_bytes() const {
  return saturating_sum(saturating_sum(saturating_sum(weights_bytes, gradients_bytes),
                                       saturating_sum(optimizer_bytes, activations_bytes)),
                        buffers_bytes);
}

TrainMemory train_memory(const TrainRank& rank) {
  TrainMemory memory;
  const std::vector<std::uint64_t> pieces = train_pieces(rank);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto piece = static_cast<TrainPiece>(i);
    std::uint64_t& part = piece == TrainPiece::kWeights     ? memory.weights_bytes
                          : piece == TrainPiece::kGradients ? memory.gradients_bytes
                          : piece == TrainPiece::kMoments   ? memory.optimizer_bytes
                          : is_activation(piece)            ? memory.activations_bytes
                                                            : memory.buffers_bytes;
    part = saturating_sum(part, train_aligned(pieces[i]));
  }
  memory.workspace_bytes = train_workspace_bytes(rank);
  memory.buffers_bytes =
      saturating_sum(saturating_sum(memory.buffers_bytes, train_aligned(train_step_bytes(rank))),
                     saturating_sum(memory.workspace_bytes, train_aligned(rank.table_bytes)));
  return memory;
}

v1::TrainPlan train_plan(const TrainRank& rank, const DataFacts& data, std::uint32_t accumulate) {
  const TrainMemory memory = train_memory(rank);
  v1::TrainPlan plan;
  plan.set_parameters(train_parameters(rank.tensors));
  plan.set_micro_batch(static_cast<std::uint32_t>(rank.micro_batch));  // at most kTrainBatchMax
  plan.set_accumulate(std::max<std::uint32_t>(accumulate, 1));
  plan.set_weights_bytes(memory.weights_bytes);
  plan.set_gradients_bytes(memory.gradients_bytes);
  plan.set_optimizer_bytes(memory.optimizer_bytes);
  plan.set_activations_bytes(memory.activations_bytes);
  plan.set_buffers_bytes(memory.buffers_bytes);
  plan.set_data_samples(data.samples);
  plan.set_inputs(static_cast<std::uint32_t>(data.inputs));  // fits: checked with the shape
  plan.set_outputs(static_cast<std::uint32_t>(data.outputs));
  plan.set_classes(data.classes);
  plan.set_precision(std::string(train_precision_name(rank.precision)));
  plan.set_activations(rank.recompute ? "recomputed" : "kept");
  return plan;
}

}  // namespace overwinter::plan
