#include "worker/gang/rank_task.h"

#include "worker/gang/self_test.h"

namespace overwinter::worker {

Result<std::unique_ptr<RankTask>> make_rank_task(const v1::RankTask& task) {
  if (task.has_self_test()) return std::make_unique<SelfTest>();
  return fail(Code::kUnimplemented, "this rank does not know the work that it was given");
}

}  // namespace overwinter::worker
