#include "worker/train/parameters.h"

#include <cmath>
#include <numbers>

#include "worker/train/sample_order.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kAlignedFloats = plan::kTrainAlignment / sizeof(float);

std::size_t aligned(std::size_t floats) {
  return (floats + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
}

double uniform(std::uint64_t& state) {
  return static_cast<double>(next_random(state) >> 11) * 0x1.0p-53;
}

// Box and Muller, both numbers of a pair used.
void fill_normal(Parameter& p, double deviation, std::uint64_t state) {
  for (std::size_t i = 0; i < p.count; i += 2) {
    const double radius = deviation * std::sqrt(-2 * std::log(1 - uniform(state)));
    const double angle = 2 * std::numbers::pi * uniform(state);
    p.weights[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < p.count) p.weights[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

void fill(Parameter& p, float value) {
  for (std::size_t i = 0; i < p.count; ++i) p.weights[i] = value;
}

bool ends_with(const std::string& name, std::string_view end) {
  return std::string_view(name).ends_with(end);
}

}  // namespace

Parameters::Parameters(Arena& arena, const plan::TrainRank& rank) {
  using plan::TrainPiece;
  float* const weights = arena.piece<float>(TrainPiece::kWeights);
  float* const gradients = arena.piece<float>(TrainPiece::kGradients);
  float* const moments = arena.piece<float>(TrainPiece::kMoments);
  const std::size_t trainable = arena.bytes(TrainPiece::kGradients) / sizeof(float);
  weights_ = {weights, arena.bytes(TrainPiece::kWeights) / sizeof(float)};
  gradients_ = {gradients, trainable};
  moments_ = {moments, arena.bytes(TrainPiece::kMoments) / sizeof(float)};
  auto* const copies = arena.piece<std::byte>(TrainPiece::kWeightCopies);
  std::size_t copy_offset = 0;
  std::size_t weight_offset = 0;
  std::size_t gradient_offset = 0;
  for (const plan::TrainTensor& tensor : rank.tensors) {
    Parameter p;
    p.name = tensor.name;
    p.shape = tensor.shape;
    p.count = tensor.elements();
    p.weights = weights + weight_offset;
    p.gradient_offset = gradient_offset;
    weight_offset += aligned(p.count);
    if (copies != nullptr && p.shape.size() == 2) {
      p.copy = copies + copy_offset;
      copy_offset += plan::train_aligned(p.count * sizeof(std::uint16_t));
    }
    if (tensor.trainable) {
      p.gradients = gradients + gradient_offset;
      if (rank.optimizer_slots > 0) p.first = moments + gradient_offset;
      if (rank.optimizer_slots > 1) p.second = moments + trainable + gradient_offset;
      gradient_offset += aligned(p.count);
    }
    all_.push_back(std::move(p));
  }
}

void Parameters::initialise(const plan::TrainShape& shape, std::uint64_t seed) {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    Parameter& p = all_[i];
    const std::uint64_t state = random_key(seed, i);
    if (shape.kind == plan::TrainKind::kDense) {
      // Layer i / 2: weight, then bias.
      const double bound = 1 / std::sqrt(static_cast<double>(shape.widths[i / 2]));
      std::uint64_t own = state;
      for (std::size_t j = 0; j < p.count; ++j)
        p.weights[j] =
            shape.widths.size() == 2 ? 0.0F : static_cast<float>(bound * (2 * uniform(own) - 1));
    } else if (p.shape.size() == 2) {
      const bool into_residual = ends_with(p.name, "c_proj.weight");
      const double layers = static_cast<double>(shape.layers);
      fill_normal(p, into_residual ? 0.02 / std::sqrt(2 * layers) : 0.02, state);
    } else {
      fill(p, ends_with(p.name, ".weight") ? 1.0F : 0.0F);
    }
  }
}

}  // namespace overwinter::worker
