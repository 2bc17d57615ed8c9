// The tensors of a model in a rank's arena: weights, gradients and moments, each kind in one flat
// stretch, in the order of plan::train_tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/plan/train_memory.h"
#include "worker/train/arena.h"

namespace overwinter::worker {

struct Parameter {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::size_t count = 0;
  float* weights = nullptr;
  float* gradients = nullptr;  // null from here on: frozen, or no such moment
  float* first = nullptr;      // adamw's first moment, or sgd's velocity
  float* second = nullptr;
  void* copy = nullptr;  // of a matrix: its weights in the 16 bits that products take; or null
  std::size_t gradient_offset = 0;  // of its gradient, or of the next one's, in the flat stretch
};

// Points into the arena, which outlives it.
class Parameters {
 public:
  Parameters(Arena& arena, const plan::TrainRank& rank);

  [[nodiscard]] std::span<Parameter> all() { return all_; }
  [[nodiscard]] std::span<const Parameter> all() const { return all_; }
  [[nodiscard]] Parameter& operator[](std::size_t i) { return all_[i]; }
  // Padding between tensors included; it is 0 and stays so.
  [[nodiscard]] std::span<float> gradients() { return gradients_; }
  [[nodiscard]] std::span<float> weights() { return weights_; }
  [[nodiscard]] std::span<float> moments() { return moments_; }

  // Fresh weights of a seed, the same on every machine of one C library. gpt: normal with deviation
  // 0.02, that of the two projections into the residual 0.02 / sqrt(2 layers), norms 1 and 0,
  // biases 0 (GPT-2). An mlp: uniform in +-1/sqrt(inputs) (torch.nn.Linear); linear and logistic:
  // 0.
  void initialise(const plan::TrainShape& shape, std::uint64_t seed);

 private:
  std::vector<Parameter> all_;
  std::span<float> weights_;
  std::span<float> gradients_;
  std::span<float> moments_;
};

}  // namespace overwinter::worker
