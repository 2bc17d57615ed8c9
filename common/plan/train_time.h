// How long a training takes: a small model of what a step computes and exchanges. Internal to the
// room. Seconds are predictions; nothing here is a bound.
#pragma once

#include <cstdint>

#include "common/base/time.h"
#include "common/plan/gang_groups.h"
#include "common/plan/train_memory.h"

namespace overwinter::plan {

// One step of `batch` samples on `ranks` ranks (at least 1), each of which holds what `rank` says.
[[nodiscard]] double train_step_seconds(const TrainRank& rank, std::uint64_t ranks,
                                        std::uint64_t batch, const GangModel& model);

// From the launch to the last step: each worker reads its input once.
[[nodiscard]] double train_seconds(double step_seconds, std::uint64_t steps,
                                   std::uint64_t input_bytes, const GangModel& model);

// What a checkpoint holds: weights and the optimiser's state.
[[nodiscard]] double train_state_bytes(const TrainMemory& memory);

// For the step in progress and a checkpoint, written before the money ends.
[[nodiscard]] Duration train_stop_time(double step_seconds, const TrainMemory& memory,
                                       const GangModel& model);

// How many checkpoints a training of so many seconds writes; at least 1.
[[nodiscard]] double train_checkpoints(const v1::JobSpec& spec, double seconds);

}  // namespace overwinter::plan
