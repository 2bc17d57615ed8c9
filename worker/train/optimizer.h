// How weights follow gradients: AdamW or SGD with momentum, the rate's schedule, clipping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/base/result.h"
#include "overwinter/v1/job.pb.h"
#include "worker/train/model.h"
#include "worker/train/parameters.h"

namespace overwinter::worker {

// Of the specification, its defaults filled in: adamw at 3e-4 when none is given; 0 for beta1,
// beta2, epsilon: 0.9, 0.999, 1e-8; an empty schedule is constant.
struct OptimizerSettings {
  bool adamw = true;
  double learning_rate = 3e-4;
  std::uint64_t warmup_steps = 0;
  bool cosine = false;
  double weight_decay = 0;
  double clip_norm = 0;  // 0: none
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double momentum = 0;
};

// INVALID_ARGUMENT with the field workload.train.optimizer….
[[nodiscard]] Result<OptimizerSettings> optimizer_settings(const v1::OptimizerSpec& spec);

// The rate of step `step` (from 0) of `steps`: in the warm-up (step + 1) / warmup_steps of the full
// one, which step warmup_steps has; then constant, or half a cosine down to a tenth at the last.
[[nodiscard]] double learning_rate_at(const OptimizerSettings& settings, std::uint64_t step,
                                      std::uint64_t steps);

struct GradientNorm {
  double norm = 0;         // of the whole gradient
  std::string not_finite;  // the first tensor with a gradient that is inf or nan; empty: none
};
// Its bits do not depend on the number of threads. `scratch` has plan::train_step_bytes of memory
// for it.
[[nodiscard]] GradientNorm gradient_norm(ComputeTeam& team, Parameters& parameters,
                                         std::span<std::byte> scratch);

// One step of all that train; update number `step` from 0. Gradients are multiplied by `scale`
// first, and `norm` is that of the product. Weight decay is for tensors of two
// dimensions alone: norms and biases have none.
void optimizer_step(ComputeTeam& team, Parameters& parameters, const OptimizerSettings& settings,
                    std::uint64_t step, double learning_rate, double norm, double scale = 1);

}  // namespace overwinter::worker
