// Our side of the suite `train`: a training in a process of its own, so that its peak of memory is
// its own.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::bench {

struct TrainSide {
  double step_ms = 0;          // the median
  double peak_mib = 0;         // resident, of the whole process
  std::vector<double> losses;  // one a step
};

// The body of the child, which prints the figures as JSON:
//
//   MODEL FOLDER STEPS PRECISION train|products
//
// MODEL and FOLDER are ddp_train.py's, which has prepared the folder. `products` makes the same
// steps' products of matrices in the same order and nothing else: what the step cannot be faster
// than.
int train_side(const std::vector<std::string>& arguments);

// Runs that child.
[[nodiscard]] Result<TrainSide> run_train_side(const std::vector<std::string>& arguments);
// PyTorch's: MODEL FOLDER STEPS DTYPE. UNAVAILABLE without python3-torch.
[[nodiscard]] Result<TrainSide> run_train_peer(const std::string& script,
                                               const std::vector<std::string>& arguments);

}  // namespace overwinter::bench
