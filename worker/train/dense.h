// Fully connected layers with ReLU between: an MLP, and without hidden layers linear and logistic
// regression. Cross-entropy over classes, or the mean squared error.
#pragma once

#include "common/plan/train_batch.h"
#include "worker/train/model.h"

namespace overwinter::worker {

class Dense final : public Model {
 public:
  Dense(const plan::TrainRank& rank, Arena& arena, Parameters& parameters, ComputeTeam& team);

  [[nodiscard]] SampleSlot slot(std::uint64_t index) override;
  [[nodiscard]] std::uint64_t terms(std::uint64_t samples) const override;
  double loss(std::uint64_t samples) override;
  double gradients(std::uint64_t samples, float weight,
                   const std::function<void(std::size_t)>& final_from) override;

 private:
  using Rows = plan::SampleRange;

  double forward(std::uint64_t samples, float weight);
  void forward_rows(std::uint32_t thread, const Rows& rows, float weight);
  [[nodiscard]] Rows rows_of(std::uint32_t thread, std::uint64_t rows) const;
  // What layer `i` takes and gives.
  [[nodiscard]] float* input(std::size_t i) { return i == 0 ? inputs_ : outputs_[i - 1]; }

  ComputeTeam& team_;
  const std::vector<std::uint64_t> widths_;
  const bool classes_;
  struct Layer {
    Parameter *weights, *bias;
  };
  std::vector<Layer> layers_;
  std::size_t lowest_layer_ = 0;
  float* inputs_;
  std::int32_t* class_targets_;
  float* value_targets_;
  double* losses_;
  std::vector<float*> outputs_;
  float* gradients_[2];
};

}  // namespace overwinter::worker
