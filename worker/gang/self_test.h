// A task that only sums a buffer over all ranks, step after step, and checks the sums: shows that a
// gang works, without a model. Stops, checkpoints and progress are as a real task has them.
#pragma once

#include "worker/gang/rank_task.h"

namespace overwinter::worker {

class SelfTest final : public RankTask {
 public:
  // Its checkpoint is one file a rank, `self-test-RANK`, that holds the step as decimal text.
  Status run(Collective& collective, RankPort& port) override;
};

}  // namespace overwinter::worker
