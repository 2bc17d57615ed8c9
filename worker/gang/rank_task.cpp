#include "worker/gang/rank_task.h"

#include "overwinter/v1/job.pb.h"
#include "worker/gang/self_test.h"
#include "worker/gang/train_task.h"

namespace overwinter::worker {

Result<std::unique_ptr<RankTask>> make_rank_task(const v1::RankTask& task) {
  if (task.has_self_test()) return std::make_unique<SelfTest>();
  v1::JobSpec spec;
  if (spec.ParseFromString(task.spec()) && spec.has_train()) return std::make_unique<TrainTask>();
  return fail(Code::kUnimplemented, "this rank does not know the work that it was given");
}

}  // namespace overwinter::worker
