#include "worker/train/model.h"

#include "worker/train/dense.h"
#include "worker/train/gpt.h"
#include "worker/train/products.h"

namespace overwinter::worker {

ComputeTeam::ComputeTeam(std::uint32_t threads, const TrainKernels& kernels,
                         const std::optional<GemmChoice>& choice)
    : team_(threads), kernels_(kernels) {
  // Each has a team of one, which runs on whoever calls.
  for (std::uint32_t i = 0; i < team_.size(); ++i) {
    gemms_.push_back(std::make_unique<ChosenGemm>(alone_, workspaces_));
    if (choice) gemms_.back()->use(one_library(*choice));
  }
}

namespace {

template <class T>
Status multiply_one(GemmBackend& gemm) {
  const T one{};
  float c = 0;
  return gemm.gemm(product<T>(1, 1, 1, &one, 1, &one, 1, &c, 1));
}

}  // namespace

Status ComputeTeam::take_workspaces(plan::TrainPrecision precision) {
  for (const auto& gemm : gemms_) {
    const Status taken = precision == plan::TrainPrecision::kBf16   ? multiply_one<BFloat16>(*gemm)
                         : precision == plan::TrainPrecision::kFp16 ? multiply_one<Float16>(*gemm)
                                                                    : multiply_one<float>(*gemm);
    if (!taken.ok()) return taken;
  }
  return Status::success();
}

void ComputeTeam::pause(std::uint32_t thread) {
  if (thread == 0 && between_) between_();
}

namespace {

template <class T>
std::unique_ptr<Model> model_of(const plan::TrainRank& rank, Arena& arena, Parameters& parameters,
                                ComputeTeam& team) {
  if (rank.shape.kind == plan::TrainKind::kGpt)
    return std::make_unique<Gpt<T>>(rank, arena, parameters, team);
  return std::make_unique<Dense<T>>(rank, arena, parameters, team);
}

}  // namespace

std::unique_ptr<Model> make_model(const plan::TrainRank& rank, Arena& arena, Parameters& parameters,
                                  ComputeTeam& team) {
  switch (rank.precision) {
    case plan::TrainPrecision::kBf16:
      return model_of<BFloat16>(rank, arena, parameters, team);
    case plan::TrainPrecision::kFp16:
      return model_of<Float16>(rank, arena, parameters, team);
    case plan::TrainPrecision::kFp32:
      break;
  }
  return model_of<float>(rank, arena, parameters, team);
}

}  // namespace overwinter::worker
