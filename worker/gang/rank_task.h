// RankTask: what a rank runs, once it hears the others and has its order.
#pragma once

#include <memory>

#include "common/base/result.h"
#include "worker/collective/collective.h"
#include "worker/gang/rank_port.h"

namespace overwinter::worker {

class RankTask {
 public:
  virtual ~RankTask() = default;
  // Runs to the end, or to a good place to stop (port.stop_asked()). An error ends the whole gang:
  // one sentence, and the tensor it is about as the field, if there is one. Both outlive the call.
  virtual Status run(Collective& collective, RankPort& port) = 0;
};

// What `task` asks for. UNIMPLEMENTED for work that this build does not know.
[[nodiscard]] Result<std::unique_ptr<RankTask>> make_rank_task(const v1::RankTask& task);

}  // namespace overwinter::worker
