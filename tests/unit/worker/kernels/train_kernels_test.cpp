// Every operation at every level that this processor has, against its slow twin in double.
#include "worker/kernels/train_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "worker/kernels/attention.h"
#include "worker/kernels/train_reference.h"

namespace overwinter::worker {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

Floats random_floats(std::size_t n, unsigned seed, float spread = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  Floats values(n);
  for (float& v : values) v = normal(random);
  return values;
}

Doubles doubles(const Floats& values) {
  return {values.begin(), values.end()};
}

template <class A, class B>
void expect_near(const A& fast, const B& twin, double bound) {
  ASSERT_EQ(fast.size(), twin.size());
  for (std::size_t i = 0; i < fast.size(); ++i) {
    const double want = static_cast<double>(twin[i]);
    ASSERT_NEAR(static_cast<double>(fast[i]), want, bound * (1 + std::abs(want))) << "at " << i;
  }
}

class AtLevel : public ::testing::TestWithParam<KernelLevel> {
 protected:
  void SetUp() override {
    if (GetParam() > best_kernel_level()) GTEST_SKIP() << "this processor has no such level";
  }
  const TrainKernels& kernels() { return train_kernels(GetParam()); }
};

const std::size_t kWidths[] = {1, 5, 16, 31, 64, 257};

TEST_P(AtLevel, LayerNorm) {
  for (const std::size_t width : kWidths) {
    const std::size_t rows = 7;
    const Floats x = random_floats(rows * width, 1, 3);
    const Floats gain = random_floats(width, 2);
    const Floats bias = random_floats(width, 3);
    const Floats dy = random_floats(rows * width, 4);
    const Floats carry = random_floats(rows * width, 5);
    Floats y(rows * width);
    Floats statistics(2 * rows);
    kernels().layer_norm(x.data(), gain.data(), bias.data(), rows, width, y.data(),
                         statistics.data());
    Doubles twin(rows * width);
    reference::layer_norm(doubles(x).data(), doubles(gain).data(), doubles(bias).data(), rows,
                          width, twin.data());
    expect_near(y, twin, 1e-5);
    Floats dx(rows * width);
    Floats dgain(width, 1);
    Floats dbias(width, 2);
    kernels().layer_norm_backward(dy.data(), x.data(), gain.data(), statistics.data(), rows, width,
                                  carry.data(), dx.data(), dgain.data(), dbias.data());
    Doubles dx2(rows * width);
    Doubles dgain2(width, 1);
    Doubles dbias2(width, 2);
    reference::layer_norm_backward(doubles(dy).data(), doubles(x).data(), doubles(gain).data(),
                                   rows, width, doubles(carry).data(), dx2.data(), dgain2.data(),
                                   dbias2.data());
    // With one column the deviation is 0 and 1 / sqrt(1e-5) magnifies what is rounded off.
    expect_near(dx, dx2, width == 1 ? 1e-3 : 2e-5);
    expect_near(dgain, dgain2, 2e-5);
    expect_near(dbias, dbias2, 1e-5);
  }
}

TEST_P(AtLevel, GeluAndItsSlope) {
  Floats x;
  for (float v = -12; v <= 12; v += 0.013F) x.push_back(v);
  x.insert(x.end(), {-1e4F, 1e4F, 0.0F, -0.0F});
  const std::size_t n = x.size();
  const Floats zero(n, 0);
  Floats hidden = x;
  Floats y(n);
  Floats d(n, 1);
  kernels().bias_gelu(hidden.data(), zero.data(), 1, n, y.data());
  kernels().gelu_backward(hidden.data(), d.data(), n);
  for (std::size_t i = 0; i < n; ++i) {
    const double v = static_cast<double>(x[i]);
    ASSERT_NEAR(static_cast<double>(y[i]), reference::gelu(v), 1e-6 * (1 + std::abs(v))) << v;
    ASSERT_NEAR(static_cast<double>(d[i]), reference::gelu_slope(v), 2e-6) << v;
  }
}

TEST_P(AtLevel, BiasResidualAndRelu) {
  const std::size_t rows = 5;
  const std::size_t width = 37;
  const Floats x = random_floats(rows * width, 1);
  const Floats bias = random_floats(width, 2);
  const Floats residual = random_floats(rows * width, 3);
  Floats added = x;
  kernels().add_bias(added.data(), bias.data(), rows, width);
  Floats both = x;
  kernels().add_bias_residual(both.data(), bias.data(), residual.data(), rows, width);
  Floats relu = x;
  kernels().bias_relu(relu.data(), bias.data(), rows, width);
  Floats d(rows * width, 3);
  kernels().relu_backward(relu.data(), d.data(), d.size());
  Floats sums(width, 1);
  kernels().column_sums(x.data(), rows, width, 3, 30, sums.data());
  Doubles want_sums(width, 1);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float v = x[i] + bias[i % width];
    ASSERT_FLOAT_EQ(added[i], v);
    ASSERT_NEAR(both[i], v + residual[i], 1e-6F);
    ASSERT_EQ(relu[i], v > 0 ? v : 0);
    ASSERT_EQ(d[i], v > 0 ? 3 : 0);
    if (i % width >= 3 && i % width < 30) want_sums[i % width] += static_cast<double>(x[i]);
  }
  expect_near(sums, want_sums, 1e-6);
}

TEST_P(AtLevel, CrossEntropy) {
  for (const std::size_t classes : {std::size_t{2}, std::size_t{10}, std::size_t{256}}) {
    const std::size_t rows = 9;
    const Floats logits = random_floats(rows * classes, 1, 20);
    std::vector<std::int32_t> targets(rows);
    for (std::size_t r = 0; r < rows; ++r) targets[r] = static_cast<std::int32_t>(r % classes);
    Floats d = logits;
    const double loss = kernels().cross_entropy(d.data(), targets.data(), rows, classes, 0.25F);
    const Doubles exact = doubles(logits);
    EXPECT_NEAR(loss, reference::cross_entropy(exact.data(), targets.data(), rows, classes),
                1e-5 * loss);
    Doubles twin(rows * classes);
    reference::cross_entropy_backward(exact.data(), targets.data(), rows, classes, 0.25,
                                      twin.data());
    expect_near(d, twin, 1e-6);
    Floats unchanged = logits;
    EXPECT_EQ(kernels().cross_entropy(unchanged.data(), targets.data(), rows, classes, 0), loss);
  }
}

TEST_P(AtLevel, SquaredErrorAndItsGradient) {
  Floats y = random_floats(100, 1);
  const Floats start = y;
  const Floats targets = random_floats(100, 2);
  const double loss = kernels().squared_error(y.data(), targets.data(), 100, 0.5F);
  EXPECT_NEAR(loss, reference::squared_error(doubles(start).data(), doubles(targets).data(), 100),
              1e-5 * loss);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_NEAR(y[i], start[i] - targets[i], 1e-6F);
}

TEST_P(AtLevel, Embedding) {
  const std::size_t rows = 12;
  const std::size_t width = 19;
  const std::size_t context = 4;
  const Floats wte = random_floats(5 * width, 1);
  const Floats wpe = random_floats(context * width, 2);
  const std::vector<std::int32_t> tokens = {0, 1, 2, 3, 4, 4, 4, 0, 1, 0, 3, 2};
  Floats y(rows * width);
  kernels().embed(tokens.data(), wte.data(), wpe.data(), 5, 0, context, width, y.data());
  kernels().embed(tokens.data() + 5, wte.data(), wpe.data(), rows - 5, 5, context, width,
                  y.data() + 5 * width);
  Floats twin(rows * width);
  reference::embed(tokens.data(), wte.data(), wpe.data(), rows, context, width, twin.data());
  EXPECT_EQ(y, twin);
  const Floats d = random_floats(rows * width, 3);
  Floats dwte(wte.size(), 0);
  Floats dwpe(wpe.size(), 0);
  for (const auto& [begin, end] : {std::pair{0U, 7U}, std::pair{7U, 19U}})
    kernels().embed_backward(tokens.data(), d.data(), rows, context, width, begin, end, dwte.data(),
                             dwpe.data());
  Doubles dwte2(wte.size(), 0);
  Doubles dwpe2(wpe.size(), 0);
  reference::embed_backward(tokens.data(), doubles(d).data(), rows, context, width, dwte2.data(),
                            dwpe2.data());
  expect_near(dwte, dwte2, 1e-6);
  expect_near(dwpe, dwpe2, 1e-6);
}

TEST_P(AtLevel, ANormOfASumIsBothOneAfterTheOther) {
  for (const std::size_t width : kWidths) {
    const std::size_t rows = 5;
    const Floats x = random_floats(rows * width, 1);
    const Floats residual = random_floats(rows * width, 2);
    const Floats bias = random_floats(width, 3);
    const Floats gain = random_floats(width, 4);
    const Floats shift = random_floats(width, 5);
    Floats sum = x;
    kernels().add_bias_residual(sum.data(), bias.data(), residual.data(), rows, width);
    Floats norm(rows * width);
    Floats statistics(2 * rows);
    kernels().layer_norm(sum.data(), gain.data(), shift.data(), rows, width, norm.data(),
                         statistics.data());
    Floats fused = x;
    Floats fused_norm(rows * width);
    Floats fused_statistics(2 * rows);
    kernels().residual_norm(fused.data(), bias.data(), residual.data(), gain.data(), shift.data(),
                            rows, width, fused_norm.data(), fused_statistics.data());
    EXPECT_EQ(fused, sum);
    EXPECT_EQ(fused_norm, norm);
    EXPECT_EQ(fused_statistics, statistics);
  }
}

TEST_P(AtLevel, SmallProducts) {
  std::mt19937 random(4);
  for (int i = 0; i < 200; ++i) {
    const std::size_t m = random() % 20;
    const std::size_t n = random() % 50;
    const std::size_t k = random() % 40;
    const bool across = random() % 2 == 0;  // a is stored k x m
    const bool add = random() % 2 == 0;
    const std::size_t ldb = n + random() % 3;
    const std::size_t ldc = n + random() % 3;
    const std::size_t lda = (across ? m : k) + random() % 3;
    const Floats a = random_floats((across ? k : m) * lda, 1);
    const Floats b = random_floats(k * ldb, 2);
    const Floats before = random_floats(m * ldc, 3);
    Floats c = before;
    kernels().small_product(m, n, k, a.data(), across ? 1 : lda, across ? lda : 1, b.data(), ldb,
                            c.data(), ldc, add);
    Doubles want = doubles(before);
    for (std::size_t r = 0; r < m; ++r) {
      for (std::size_t j = 0; j < n; ++j) {
        double sum = add ? want[r * ldc + j] : 0;
        for (std::size_t l = 0; l < k; ++l)
          sum += static_cast<double>(across ? a[l * lda + r] : a[r * lda + l]) *
                 static_cast<double>(b[l * ldb + j]);
        want[r * ldc + j] = sum;
      }
    }
    expect_near(c, want, 2e-5);  // what lies between the rows is as it was, too
  }
  const Floats x = random_floats(7 * 11, 1);
  Floats y(11 * 9);
  kernels().transpose(x.data(), 7, 10, 11, y.data(), 9);
  for (std::size_t i = 0; i < 7; ++i)
    for (std::size_t j = 0; j < 10; ++j) EXPECT_EQ(y[j * 9 + i], x[i * 11 + j]);
}

TEST_P(AtLevel, AttentionByBlocks) {
  for (const std::size_t tokens :
       {std::size_t{1}, std::size_t{5}, std::size_t{32}, std::size_t{33}, std::size_t{130}}) {
    for (const std::size_t size : {std::size_t{8}, std::size_t{32}}) {
      const std::size_t heads = 3;
      const std::size_t width = heads * size;
      const Floats qkv = random_floats(tokens * 3 * width, 1, 2);
      const Floats dy = random_floats(tokens * width, 2);
      Doubles y2(tokens * width);
      reference::attention(doubles(qkv).data(), tokens, heads, width, y2.data());
      Doubles d2(tokens * 3 * width);
      reference::attention_backward(doubles(dy).data(), doubles(qkv).data(), tokens, heads, width,
                                    d2.data());
      Floats y(tokens * width);
      Floats d(tokens * 3 * width);
      Floats log_sums(tokens);
      Floats scratch(attention_scratch_floats(tokens, size, 32));
      for (std::size_t head = 0; head < heads; ++head) {
        const AttentionHead shape{tokens, size, width, 3 * width, width, 32};
        attention_forward(kernels(), shape, qkv.data() + head * size, y.data() + head * size,
                          log_sums.data(), scratch.data());
        attention_backward(kernels(), shape, dy.data() + head * size, qkv.data() + head * size,
                           log_sums.data(), d.data() + head * size, scratch.data());
      }
      expect_near(y, y2, 2e-5);
      expect_near(d, d2, 1e-4);
    }
  }
}

TEST_P(AtLevel, AdamwAndSgd) {
  const std::size_t n = 101;
  const Floats start = random_floats(n, 1);
  Floats w = start;
  Floats m(n, 0);
  Floats v(n, 0);
  Doubles w2 = doubles(start);
  Doubles m2(n, 0);
  Doubles v2(n, 0);
  AdamwStep adamw;
  adamw.learning_rate = 0.01F;
  adamw.weight_decay = 0.1F;
  adamw.gradient_scale = 0.5F;
  for (int t = 1; t <= 5; ++t) {
    const Floats g = random_floats(n, 10 + static_cast<unsigned>(t));
    adamw.correction1 = 1 - std::pow(adamw.beta1, static_cast<float>(t));
    adamw.correction2 = 1 - std::pow(adamw.beta2, static_cast<float>(t));
    kernels().adamw(w.data(), g.data(), m.data(), v.data(), n, adamw);
    reference::adamw(w2.data(), doubles(g).data(), m2.data(), v2.data(), n, adamw);
  }
  expect_near(w, w2, 1e-5);
  SgdStep sgd;
  sgd.learning_rate = 0.1F;
  sgd.momentum = 0.9F;
  sgd.weight_decay = 0.01F;
  Floats velocity(n, 0);
  Doubles velocity2(n, 0);
  w = start;
  w2 = doubles(start);
  for (unsigned t = 1; t <= 5; ++t) {
    const Floats g = random_floats(n, 20 + t);
    kernels().sgd(w.data(), g.data(), velocity.data(), n, sgd);
    reference::sgd(w2.data(), doubles(g).data(), velocity2.data(), n, sgd);
  }
  expect_near(w, w2, 1e-5);
  sgd.momentum = 0;
  Floats plain = start;
  Floats with_null = start;
  velocity.assign(n, 0);
  kernels().sgd(plain.data(), start.data(), velocity.data(), n, sgd);
  kernels().sgd(with_null.data(), start.data(), nullptr, n, sgd);
  EXPECT_EQ(plain, with_null);
  double squares = 0;
  for (const float x : start) squares += static_cast<double>(x) * static_cast<double>(x);
  EXPECT_NEAR(kernels().sum_of_squares(start.data(), n), squares, 1e-9);
}

TEST_P(AtLevel, NothingHidesANaN) {
  const float nan = std::nanf("");
  Floats x(20, 1);
  x[17] = nan;
  const Floats zero(20, 0);
  Floats y(20);
  Floats statistics(2);
  Floats hidden = x;
  kernels().bias_gelu(hidden.data(), zero.data(), 1, 20, y.data());
  EXPECT_TRUE(std::isnan(y[17]));
  Floats relu = x;
  kernels().bias_relu(relu.data(), zero.data(), 1, 20);
  EXPECT_TRUE(std::isnan(relu[17]));
  const std::int32_t target = 0;
  EXPECT_TRUE(std::isnan(kernels().cross_entropy(x.data(), &target, 1, 20, 0)));
  kernels().layer_norm(hidden.data(), zero.data(), zero.data(), 1, 20, y.data(), statistics.data());
  EXPECT_TRUE(std::isnan(y[0]));
}

// Ranks on unlike machines sum one gradient and then each updates its own weights: with other bits
// they would drift apart.
TEST(TrainKernels, UpdatesHaveTheSameBitsWithAndWithoutAvx512) {
  if (best_kernel_level() < KernelLevel::kAvx512) GTEST_SKIP() << "this processor has no avx512";
  const std::size_t n = 1003;
  std::vector<Floats> weights;
  for (const KernelLevel level : {KernelLevel::kAvx2, KernelLevel::kAvx512}) {
    Floats w = random_floats(n, 1);
    Floats m = random_floats(n, 2);
    Floats v(n, 0.5F);
    const Floats g = random_floats(n, 3);
    AdamwStep adamw;
    adamw.learning_rate = 0.01F;
    adamw.weight_decay = 0.1F;
    adamw.correction2 = 0.3F;
    adamw.gradient_scale = 0.7F;
    train_kernels(level).adamw(w.data(), g.data(), m.data(), v.data(), n, adamw);
    SgdStep sgd;
    sgd.learning_rate = 0.1F;
    sgd.momentum = 0.9F;
    sgd.weight_decay = 0.01F;
    train_kernels(level).sgd(w.data(), g.data(), m.data(), n, sgd);
    w.push_back(static_cast<float>(train_kernels(level).sum_of_squares(g.data(), n)));
    weights.push_back(w);
  }
  EXPECT_EQ(weights[0], weights[1]);
}

INSTANTIATE_TEST_SUITE_P(Levels, AtLevel,
                         ::testing::Values(KernelLevel::kBaseline, KernelLevel::kAvx2,
                                           KernelLevel::kAvx512),
                         [](const auto& i) { return std::string(train_kernels(i.param).name); });

}  // namespace
}  // namespace overwinter::worker
