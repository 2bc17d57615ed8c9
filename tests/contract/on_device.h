// Vectors on an accelerator, for suites.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "worker/cuda/accelerator.h"
#include "worker/cuda/device_resource.h"

namespace overwinter::worker::cuda {

// What was put lives as long as this. A failure fails the test and gives a null pointer.
class OnDevice {
 public:
  explicit OnDevice(Accelerator& device)
      : device_(device), pool_(device.memory(), std::size_t{1} << 30, "the test") {}

  template <class T>
  [[nodiscard]] T* put(const std::vector<T>& values) {
    auto buffer = Buffer::make(pool_.memory(), values.size() * sizeof(T), 256);
    EXPECT_TRUE(buffer.has_value());
    if (!buffer) return nullptr;
    held_.push_back(*std::move(buffer));
    const Status done =
        device_.upload(bytes_copy(held_.back().data(), values.data(), values.size() * sizeof(T)));
    EXPECT_TRUE(done.ok()) << done.message;
    return held_.back().as<T>();
  }
  template <class T>
  [[nodiscard]] std::vector<T> get(const T* from, std::size_t n) {
    std::vector<T> values(n);
    const Status done = device_.download(bytes_copy(values.data(), from, n * sizeof(T)));
    EXPECT_TRUE(done.ok()) << done.message;
    return values;
  }
  [[nodiscard]] Accelerator& device() { return device_; }
  [[nodiscard]] MemoryResource& memory() { return pool_.memory(); }

 private:
  Accelerator& device_;
  BoundedPool pool_;
  std::deque<Buffer> held_;
};

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

inline Floats random_floats(std::size_t n, unsigned seed, float spread = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  Floats values(n);
  for (float& v : values) v = normal(random);
  return values;
}

inline Doubles doubles(const Floats& values) {
  return {values.begin(), values.end()};
}

template <class A, class B>
void expect_near(const A& fast, const B& twin, double bound, const char* what) {
  ASSERT_EQ(fast.size(), twin.size());
  for (std::size_t i = 0; i < fast.size(); ++i) {
    const double want = static_cast<double>(twin[i]);
    ASSERT_NEAR(static_cast<double>(fast[i]), want, bound * (1 + std::abs(want)))
        << what << " at " << i;
  }
}

}  // namespace overwinter::worker::cuda
