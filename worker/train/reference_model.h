// The slow, obvious twin of the models: the loss in double, straight from the formulas. Its slopes
// by finite differences are what the models' gradients are checked against.
#pragma once

#include <cstdint>
#include <vector>

#include "common/plan/train_shape.h"

namespace overwinter::worker {

using ReferenceTensors = std::vector<std::vector<double>>;  // in the order of plan::train_tensors

// The mean over samples * context tokens.
[[nodiscard]] double reference_gpt_loss(const plan::TrainShape& shape,
                                        const ReferenceTensors& tensors,
                                        const std::vector<std::int32_t>& tokens,
                                        const std::vector<std::int32_t>& targets);

// The mean over rows of x (classes), or over all target values.
[[nodiscard]] double reference_dense_loss(const plan::TrainShape& shape,
                                          const ReferenceTensors& tensors,
                                          const std::vector<double>& x,
                                          const std::vector<std::int32_t>& classes,
                                          const std::vector<double>& targets);

}  // namespace overwinter::worker
