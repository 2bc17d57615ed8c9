// A rank of a training: steps, validation and checkpoints until all steps are made or it is asked
// to stop.
#pragma once

#include "common/base/clock.h"
#include "worker/gang/rank_task.h"

namespace overwinter::worker {

// Rank 0 alone writes checkpoints (all ranks hold the same weights) and decides when one is due;
// one reduction after each step tells the others, so that all measure the validation loss together
// and stop at the same step.
//
// Due: every checkpoint_every_steps; checkpoint_every_ms after the last began; when asked for in
// passing (RankStop::CHECKPOINT, at rank 0). While one is not answered, one that its step makes due
// is skipped and the others wait. A failed one is told (phase and log) and forgotten. The last one,
// of a stop or the end, is tried twice and its error ends the task.
class TrainTask final : public RankTask {
 public:
  explicit TrainTask(const Clock& clock = system_clock()) : clock_(clock) {}
  // OUT_OF_RANGE: a number is not finite; the tensor is the field. Other errors: load_training().
  Status run(Collective& collective, RankPort& port) override;

 private:
  const Clock& clock_;
};

}  // namespace overwinter::worker
