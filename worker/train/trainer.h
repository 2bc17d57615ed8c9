// Trainer: one rank's part of a data-parallel training, step by step.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/plan/train_memory.h"
#include "overwinter/v1/job.pb.h"
#include "worker/collective/collective.h"
#include "worker/collective/gradient_buckets.h"
#include "worker/memory/scratch_resource.h"
#include "worker/train/data_source.h"
#include "worker/train/model.h"
#include "worker/train/optimizer.h"

namespace overwinter::worker {

// A tensor of a checkpoint, row-major, little-endian. dtype as safetensors writes it: F32, I64.
struct TensorView {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;
};

struct StepReport {
  std::uint64_t step = 0;    // steps done, this one included
  double loss = 0;           // the mean over the whole batch, before the update
  double gradient_norm = 0;  // of an update that was left out: not finite
  double learning_rate = 0;
  std::uint64_t samples = 0;  // of all ranks
  std::uint64_t tokens = 0;   // text; else 0
  bool updated = true;        // false: fp16's gradient overflowed, the loss's scale was halved
};

// All ranks make the same calls in the same order. One caller at a time. Data, collective and
// memory outlive it. The same specification, data and number of ranks give the same bits, whatever
// the number of threads in fp32 by OpenBLAS (by oneDNN and in 16 bits: the same but for rounding);
// other numbers of ranks differ by rounding alone, since a step's batch is the same.
//
// In bf16 and fp16 products take 16-bit numbers and sum in fp32; weights, gradients and moments
// stay fp32 (Micikevicius and others 2018). In fp16 the loss is scaled, so that small gradients do
// not vanish: the scale begins at 65,536, is halved and the update left out when a gradient
// overflows, and doubled after 2,000 updates in a row.
class Trainer {
 public:
  // Allocates all that it will ever hold (plan::train_memory, without the workspace, which whoever
  // owns the seat charges), what a step needs too, and draws the weights. INVALID_ARGUMENT with the
  // field; RESOURCE_EXHAUSTED from `memory`, and then nothing is held. `choice`: what is known of
  // the libraries for single-threaded products (one_library).
  [[nodiscard]] static Result<std::unique_ptr<Trainer>> make(
      const v1::TrainSpec& spec, const DataSource& data, Collective& collective,
      MemoryResource& memory, std::uint32_t threads,
      const std::optional<GemmChoice>& choice = std::nullopt);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  [[nodiscard]] std::uint64_t steps_done() const;
  [[nodiscard]] bool finished() const;
  // One step. OUT_OF_RANGE when the loss or a gradient is inf or nan, on all ranks alike, with the
  // step and the tensor (as the field; "loss" where none is to blame); the weights are as they
  // were. In fp16 only when the scale is 1 already, or of the loss. OUT_OF_RANGE, too, of data that
  // are not finite, with the step, the row and the tensor. Errors of
  // the collective or the data end the training on this rank. Takes nothing of `memory`; from the
  // second step on nothing of the heap either, but for what the collective does.
  [[nodiscard]] Result<StepReport> step();
  // The mean loss over at most `samples_max` samples of the validation part, evenly spread (0:
  // all). Nothing when there is no such part.
  [[nodiscard]] Result<std::optional<double>> validation_loss(std::uint64_t samples_max);

  // The weights, named as plan::train_tensors does; views into the trainer, good until it ends,
  // changed by step().
  [[nodiscard]] std::vector<TensorView> model() const;
  // All that a checkpoint needs to go on bit for bit: model(), optimizer.first.NAME and
  // optimizer.second.NAME, trainer.step, trainer.position (samples seen) and trainer.seed. The
  // order of samples and all chance follow from the last two. In fp16 also trainer.loss_scale,
  // trainer.updates and trainer.good_updates (those since the scale last changed).
  [[nodiscard]] std::vector<TensorView> state() const;

  // Goes on from a state; on another number of ranks too. INVALID_ARGUMENT: what is missing, or
  // which tensor has another shape, with both. Nothing is changed then.
  Status restore(std::span<const TensorView> state);
  // Begins with these weights (transfer learning); all of the model's tensors must be there, others
  // are left alone; a leading "transformer." is dropped, as Hugging Face writes it.
  Status init_from(std::span<const TensorView> weights);

  [[nodiscard]] const plan::TrainMemory& memory() const { return memory_; }
  [[nodiscard]] const plan::TrainRank& rank() const { return rank_; }
  // This processor has no instructions for its 16 bits: products are widened to fp32, slowly.
  [[nodiscard]] bool widens() const;

 private:
  Trainer(const v1::TrainSpec& spec, const DataSource& data, Collective& collective,
          plan::TrainRank rank, OptimizerSettings settings, Arena arena, MemoryResource& memory,
          const std::optional<GemmChoice>& choice);

  [[nodiscard]] Result<Buffer> step_memory();
  Status make_equal();
  Result<double> batch_gradients();
  Status fill(std::uint64_t first, std::uint64_t count);
  Status check_finite(double loss, const GradientNorm& norm) const;
  [[nodiscard]] bool is_scaled() const { return rank_.precision == plan::TrainPrecision::kFp16; }
  void update(const GradientNorm& norm, double learning_rate);
  void grow_scale();

  const DataSource& data_;
  Collective& collective_;
  const plan::TrainRank rank_;
  const plan::TrainMemory memory_;
  const OptimizerSettings settings_;
  const std::uint64_t batch_size_;
  const std::uint32_t accumulate_;
  const std::uint64_t steps_;
  Arena arena_;
  ScratchResource scratch_;  // of a step
  Parameters parameters_;
  ComputeTeam team_;
  std::unique_ptr<Model> model_;
  GradientBuckets buckets_;
  bool equal_ = false;  // all ranks have the same weights
  // As a checkpoint has them.
  std::array<std::int64_t, 3> counters_{};  // step, position, seed
  float loss_scale_ = 1;
  std::array<std::int64_t, 2> updates_{};  // all, and since the scale last changed
};

}  // namespace overwinter::worker
