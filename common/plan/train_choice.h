// Which precision a training runs in, on the devices that may take part in it. Internal to the
// room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/plan/candidates.h"
#include "common/plan/train_memory.h"

namespace overwinter::plan {

struct TrainChoice {
  TrainPrecision precision = TrainPrecision::kFp32;
  std::string why = {};      // behind the precision's name: ", as asked", " (auto: …)"
  std::string warning = {};  // empty: none
};

// The types of products: what devices tell their speed of.
[[nodiscard]] Precision product_precision(TrainPrecision precision);

// "auto" (and nothing) is bf16 when there are devices and each of them told its speed of bf16, that
// is has instructions for it; else fp32, since widening 16 bits is slower than fp32 itself. What is
// asked for by name is obeyed, with a warning that names devices without instructions. `devices`:
// those that may take part, found with the speed of the precision that is asked for (auto: bf16).
// INVALID_ARGUMENT: an unknown name.
[[nodiscard]] Result<TrainChoice> choose_precision(const std::string& asked,
                                                   const std::vector<Candidate>& devices);

}  // namespace overwinter::plan
