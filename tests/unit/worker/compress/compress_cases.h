// Values for the tests of this room.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <vector>

#include "worker/compress/tensor.h"

namespace overwinter::worker {

using Floats = std::vector<float>;
using Shape = std::vector<std::size_t>;

inline Floats normal_values(std::size_t count, unsigned seed, float spread = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  Floats values(count);
  for (float& v : values) v = normal(random);
  return values;
}

// Many equal magnitudes, zeros of both signs, subnormal numbers and the largest ones.
inline Floats odd_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  const float all[] = {0.0F,    -0.0F,  1.0F,     -1.0F, 1.5F, -1.5F,    2.5F,     -3.5F, 1e-41F,
                       -1e-41F, 1e-20F, 65504.0F, -2e4F, 0.1F, 0x1p-25F, 0x1p-14F, -0.1F, 3e-8F};
  Floats values(count);
  for (float& v : values) v = all[random() % std::size(all)];
  return values;
}

inline Tensor<const float> tensor_of(const Floats& values, const Shape& shape) {
  return {"h.0.weight", shape, values};
}

inline double squared_norm(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

// Of threads and of how a share ends: below, at and above what is divided at all.
inline const std::size_t kCounts[] = {0, 1, 3, 4, 63, 64, 1000, 4096, 4100, 70'000, 200'004};

}  // namespace overwinter::worker
