#include "worker/train/model.h"

#include "common/base/check.h"
#include "worker/train/dense.h"
#include "worker/train/gpt.h"

namespace overwinter::worker {

ComputeTeam::ComputeTeam(std::uint32_t threads, const TrainKernels& kernels)
    : team_(threads), kernels_(kernels) {
  // Each has a team of one, which runs on whoever calls.
  for (std::uint32_t i = 0; i < team_.size(); ++i)
    gemms_.push_back(std::make_unique<OpenBlasGemm>(alone_));
}

void ComputeTeam::multiply(std::uint32_t thread, const Gemm<float>& problem) {
  check(gemms_[thread]->gemm(problem).ok(), "a product of a model is well formed");
  pause(thread);
}

void ComputeTeam::pause(std::uint32_t thread) {
  if (thread == 0 && between_) between_();
}

std::unique_ptr<Model> make_model(const plan::TrainRank& rank, Arena& arena, Parameters& parameters,
                                  ComputeTeam& team) {
  if (rank.shape.kind == plan::TrainKind::kGpt)
    return std::make_unique<Gpt>(rank, arena, parameters, team);
  return std::make_unique<Dense>(rank, arena, parameters, team);
}

}  // namespace overwinter::worker
