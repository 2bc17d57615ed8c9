// The twins' gradients by central differences in double.
#include "worker/kernels/train_reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace overwinter::worker::reference {
namespace {

using Values = std::vector<double>;

Values random_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, 1);
  Values values(n);
  for (double& v : values) v = normal(random);
  return values;
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// `gradient` must be the slope of f in each of `values`.
void expect_slopes(Values& values, const Values& gradient, const std::function<double()>& f) {
  ASSERT_EQ(values.size(), gradient.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double kept = values[i];
    const double h = 1e-5;
    values[i] = kept + h;
    const double above = f();
    values[i] = kept - h;
    const double below = f();
    values[i] = kept;
    const double slope = (above - below) / (2 * h);
    ASSERT_NEAR(gradient[i], slope, 1e-7 * (1 + std::abs(slope))) << "at " << i;
  }
}

TEST(TrainReference, LayerNorm) {
  const std::size_t rows = 3;
  const std::size_t width = 7;
  Values x = random_values(rows * width, 1);
  Values gain = random_values(width, 2);
  Values bias = random_values(width, 3);
  const Values dy = random_values(rows * width, 4);
  const Values carry(rows * width, 0);
  Values dx(x.size());
  Values dgain(width, 0);
  Values dbias(width, 0);
  layer_norm_backward(dy.data(), x.data(), gain.data(), rows, width, carry.data(), dx.data(),
                      dgain.data(), dbias.data());
  const auto f = [&] {
    Values y(x.size());
    layer_norm(x.data(), gain.data(), bias.data(), rows, width, y.data());
    return dot(y, dy);
  };
  expect_slopes(x, dx, f);
  expect_slopes(gain, dgain, f);
  expect_slopes(bias, dbias, f);
}

TEST(TrainReference, Linear) {
  Values x = random_values(3 * 4, 1);
  Values w = random_values(4 * 5, 2);
  Values bias = random_values(5, 3);
  const Values dy = random_values(3 * 5, 4);
  Values dx(x.size());
  Values dw(w.size(), 0);
  Values dbias(5, 0);
  linear_backward(dy.data(), x.data(), w.data(), 3, 4, 5, dx.data(), dw.data(), dbias.data());
  const auto f = [&] {
    Values y(15);
    linear(x.data(), w.data(), bias.data(), 3, 4, 5, y.data());
    return dot(y, dy);
  };
  expect_slopes(x, dx, f);
  expect_slopes(w, dw, f);
  expect_slopes(bias, dbias, f);
}

TEST(TrainReference, Gelu) {
  Values x = random_values(40, 1);
  Values d(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) d[i] = gelu_slope(x[i]);
  expect_slopes(x, d, [&] {
    double sum = 0;
    for (const double v : x) sum += gelu(v);
    return sum;
  });
}

TEST(TrainReference, Attention) {
  const std::size_t tokens = 5;
  const std::size_t heads = 2;
  const std::size_t width = 6;
  Values qkv = random_values(tokens * 3 * width, 1);
  const Values dy = random_values(tokens * width, 2);
  Values d(qkv.size());
  attention_backward(dy.data(), qkv.data(), tokens, heads, width, d.data());
  expect_slopes(qkv, d, [&] {
    Values y(tokens * width);
    attention(qkv.data(), tokens, heads, width, y.data());
    return dot(y, dy);
  });
}

TEST(TrainReference, CrossEntropy) {
  Values logits = random_values(4 * 6, 1);
  const std::vector<std::int32_t> targets = {0, 5, 3, 3};
  Values d(logits.size());
  cross_entropy_backward(logits.data(), targets.data(), 4, 6, 0.5, d.data());
  expect_slopes(logits, d,
                [&] { return 0.5 * cross_entropy(logits.data(), targets.data(), 4, 6); });
}

TEST(TrainReference, Embedding) {
  const std::size_t width = 3;
  Values wte = random_values(4 * width, 1);
  Values wpe = random_values(2 * width, 2);
  const std::vector<std::int32_t> tokens = {3, 1, 1, 0};
  const Values d = random_values(4 * width, 3);
  Values dwte(wte.size(), 0);
  Values dwpe(wpe.size(), 0);
  embed_backward(tokens.data(), d.data(), 4, 2, width, dwte.data(), dwpe.data());
  const auto f = [&] {
    Values y(4 * width);
    embed(tokens.data(), wte.data(), wpe.data(), 4, 2, width, y.data());
    return dot(y, d);
  };
  expect_slopes(wte, dwte, f);
  expect_slopes(wpe, dwpe, f);
}

}  // namespace
}  // namespace overwinter::worker::reference
