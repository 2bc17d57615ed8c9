// Fully connected layers with ReLU between: an MLP, and without hidden layers linear and logistic
// regression. Cross-entropy over classes, or the mean squared error.
#pragma once

#include "common/plan/train_batch.h"
#include "worker/train/kept.h"
#include "worker/train/model.h"

namespace overwinter::worker {

// T: what activations are kept in and products multiply: float, BFloat16, Float16. What the last
// layer gives, and so the loss, is fp32.
template <class T>
class Dense final : public Model {
 public:
  Dense(const plan::TrainRank& rank, Arena& arena, Parameters& parameters, ComputeTeam& team);

  [[nodiscard]] SampleSlot slot(std::uint64_t index) override;
  [[nodiscard]] std::uint64_t terms(std::uint64_t samples) const override;
  double loss(std::uint64_t samples) override;
  double gradients(std::uint64_t samples, float weight,
                   const std::function<void(std::size_t)>& final_from) override;
  void weights_changed(bool all) override;

 private:
  using Rows = plan::SampleRange;

  double forward(std::uint64_t samples, float weight);
  void forward_rows(std::uint32_t thread, const Rows& rows, float weight);
  void loss_of(const Rows& rows, float weight);
  void layer_backward(std::uint32_t thread, std::size_t layer, std::uint64_t samples, const T* dy,
                      T* dx);

  [[nodiscard]] Rows own(std::uint32_t thread, std::uint64_t rows) const {
    return rows_of(rows, team_.size(), thread);
  }
  // What layer `i` takes and gives.
  [[nodiscard]] T* input(std::size_t i) { return i == 0 ? input_factors_ : outputs_[i - 1]; }
  [[nodiscard]] float* row_scratch(std::uint32_t thread, std::size_t i) {
    if constexpr (kIsNarrow<T>)
      return row_scratch_ + (thread * 2 + i) * row_stride_;
    else
      return nullptr;
  }

  ComputeTeam& team_;
  Parameters& parameters_;
  const std::vector<std::uint64_t> widths_;
  const bool classes_;
  struct Layer {
    Parameter *weights, *bias;
  };
  std::vector<Layer> layers_;
  std::size_t lowest_layer_ = 0;
  bool stale_ = true, all_stale_ = true;  // the weights that products take
  float* inputs_;
  T* input_factors_;  // the same as products take them
  std::int32_t* class_targets_;
  float* value_targets_;
  double* losses_;
  std::vector<T*> outputs_;
  float* last_outputs_;
  T* gradients_[2];
  float* row_scratch_;
  std::size_t row_stride_;
};

}  // namespace overwinter::worker
