// Every operation of DeviceKernels against its slow twin in double: the host's, and a GPU's where
// there is one. Bounds are relative to 1 + the value.
#pragma once

#include <gtest/gtest.h>

#include <array>

#include "tests/contract/on_device.h"
#include "worker/cuda/device_kernels.h"
#include "worker/kernels/train_reference.h"

namespace overwinter::worker::cuda {

// Around the lanes of a row's team, and beyond a block's columns.
inline constexpr std::array<std::size_t, 6> kSuiteWidths{1, 5, 32, 33, 64, 257};

class DeviceKernelsSuite {
 public:
  explicit DeviceKernelsSuite(Accelerator& device) : on_(device), kernels_(device.make_kernels()) {}

  void layer_norm() {
    for (const std::size_t width : kSuiteWidths) {
      const std::size_t rows = 11;
      const Floats x = random_floats(rows * width, 1, 3);
      const Floats gain = random_floats(width, 2);
      const Floats bias = random_floats(width, 3);
      const Floats dy = random_floats(rows * width, 4);
      const Floats carry = random_floats(rows * width, 5);
      float* const xs = on_.put(x);
      float* const gains = on_.put(gain);
      float* const y = on_.put(Floats(rows * width));
      float* const statistics = on_.put(Floats(2 * rows));
      done(kernels_->layer_norm(xs, gains, on_.put(bias), rows, width, y, statistics));
      Doubles twin(rows * width);
      reference::layer_norm(doubles(x).data(), doubles(gain).data(), doubles(bias).data(), rows,
                            width, twin.data());
      expect_near(on_.get(y, rows * width), twin, 1e-5, "y");
      // In place of carry, as the trainer does it.
      float* const dx = on_.put(carry);
      float* const dgain = on_.put(Floats(width, 1));
      float* const dbias = on_.put(Floats(width, 2));
      float* const dys = on_.put(dy);
      done(kernels_->layer_norm_backward(dys, xs, gains, statistics, rows, width, dx, dx, dgain,
                                         dbias));
      Doubles dx2(rows * width);
      Doubles dgain2(width, 1);
      Doubles dbias2(width, 2);
      reference::layer_norm_backward(doubles(dy).data(), doubles(x).data(), doubles(gain).data(),
                                     rows, width, doubles(carry).data(), dx2.data(), dgain2.data(),
                                     dbias2.data());
      // With one column the deviation is 0 and 1 / sqrt(1e-5) magnifies what is rounded off.
      expect_near(on_.get(dx, rows * width), dx2, width == 1 ? 1e-3 : 2e-5, "dx");
      expect_near(on_.get(dgain, width), dgain2, 2e-5, "dgain");
      expect_near(on_.get(dbias, width), dbias2, 1e-5, "dbias");
      float* const alone = on_.put(carry);
      done(kernels_->layer_norm_backward(dys, xs, gains, statistics, rows, width, alone, alone,
                                         nullptr, nullptr));
      EXPECT_EQ(on_.get(alone, rows * width), on_.get(dx, rows * width));
    }
  }

  void elements() {
    Floats x;
    for (float v = -12; v <= 12; v += 0.013F) x.push_back(v);
    x.insert(x.end(), {-1e4F, 1e4F, 0.0F, -0.0F});
    const std::size_t n = x.size();
    float* const hidden = on_.put(x);
    float* const y = on_.put(Floats(n));
    float* const d = on_.put(Floats(n, 1));
    done(kernels_->bias_gelu(hidden, on_.put(Floats(n)), 1, n, y));
    done(kernels_->gelu_backward(hidden, d, n));
    const Floats got = on_.get(y, n);
    const Floats slope = on_.get(d, n);
    for (std::size_t i = 0; i < n; ++i) {
      const double v = static_cast<double>(x[i]);
      ASSERT_NEAR(static_cast<double>(got[i]), reference::gelu(v), 1e-6 * (1 + std::abs(v))) << v;
      ASSERT_NEAR(static_cast<double>(slope[i]), reference::gelu_slope(v), 2e-6) << v;
    }
  }

  void bias_and_relu() {
    const std::size_t rows = 5;
    const std::size_t width = 37;
    const std::size_t n = rows * width;
    const Floats x = random_floats(n, 1);
    const Floats bias = random_floats(width, 2);
    const Floats residual = random_floats(n, 3);
    float* const biases = on_.put(bias);
    float* const added = on_.put(x);
    float* const both = on_.put(x);
    float* const relu = on_.put(x);
    float* const d = on_.put(Floats(n, 3));
    float* const sums = on_.put(Floats(width, 1));
    done(kernels_->add_bias(added, biases, rows, width));
    done(kernels_->add_bias_residual(both, biases, on_.put(residual), rows, width));
    done(kernels_->bias_relu(relu, biases, rows, width));
    done(kernels_->relu_backward(relu, d, n));
    done(kernels_->column_sums(on_.put(x), rows, width, 3, 36, sums));
    const Floats added_got = on_.get(added, n);
    const Floats both_got = on_.get(both, n);
    const Floats relu_got = on_.get(relu, n);
    const Floats d_got = on_.get(d, n);
    Doubles want_sums(width, 1);
    for (std::size_t i = 0; i < n; ++i) {
      const float v = x[i] + bias[i % width];
      ASSERT_FLOAT_EQ(added_got[i], v);
      ASSERT_NEAR(both_got[i], v + residual[i], 1e-6F);
      ASSERT_EQ(relu_got[i], v > 0 ? v : 0);
      ASSERT_EQ(d_got[i], v > 0 ? 3 : 0);
      if (i % width >= 3 && i % width < 36) want_sums[i % width] += static_cast<double>(x[i]);
    }
    expect_near(on_.get(sums, width), want_sums, 1e-6, "sums");
  }

  void cross_entropy() {
    for (const std::size_t classes : {std::size_t{2}, std::size_t{10}, std::size_t{259}}) {
      const std::size_t rows = 9;
      const Floats logits = random_floats(rows * classes, 1, 20);
      std::vector<std::int32_t> targets(rows);
      for (std::size_t r = 0; r < rows; ++r) targets[r] = static_cast<std::int32_t>(r % classes);
      float* const d = on_.put(logits);
      double* const losses = on_.put(Doubles(rows));
      const std::int32_t* const hits = on_.put(targets);
      done(kernels_->cross_entropy(d, hits, rows, classes, 0.25F, losses));
      const double loss = total(losses, rows);
      const Doubles exact = doubles(logits);
      EXPECT_NEAR(loss, reference::cross_entropy(exact.data(), targets.data(), rows, classes),
                  1e-5 * loss);
      Doubles twin(rows * classes);
      reference::cross_entropy_backward(exact.data(), targets.data(), rows, classes, 0.25,
                                        twin.data());
      expect_near(on_.get(d, rows * classes), twin, 1e-6, "gradients");
      float* const unchanged = on_.put(logits);
      done(kernels_->cross_entropy(unchanged, hits, rows, classes, 0, losses));
      EXPECT_EQ(on_.get(unchanged, rows * classes), logits);
      EXPECT_EQ(total(losses, rows), loss);
    }
  }

  // Counts around whole rounds of partial sums.
  void sums() {
    constexpr std::size_t kRound = kPartialSums * kRowLanes;
    for (const std::size_t n :
         {std::size_t{1}, std::size_t{33}, kRound - 1, kRound, kRound + 7, 3 * kRound + 40}) {
      const Floats y = random_floats(n, 1);
      const Floats targets = random_floats(n, 2);
      double* const partials = on_.put(Doubles(kPartialSums, -1));
      done(kernels_->sum_of_squares(on_.put(y), n, partials));
      double squares = 0;
      for (const float v : y) squares += static_cast<double>(v) * static_cast<double>(v);
      EXPECT_NEAR(fetched(partials), squares, 1e-10 * squares) << n;
      float* const d = on_.put(y);
      done(kernels_->squared_error(d, on_.put(targets), n, 0.25F, partials));
      const double error = reference::squared_error(doubles(y).data(), doubles(targets).data(), n);
      EXPECT_NEAR(fetched(partials), error, 1e-6 * error) << n;
      const Floats gradients = on_.get(d, n);
      for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(gradients[i], 0.5F * (y[i] - targets[i]));
      done(kernels_->squared_error(d, d, n, 0, partials));
      EXPECT_EQ(on_.get(d, n), gradients);
    }
  }

  void embedding() {
    const std::size_t rows = 50;
    const std::size_t context = 7;
    const std::size_t words = 130;
    for (const std::size_t width : kSuiteWidths) {
      const Floats wte = random_floats(words * width, 1);
      const Floats wpe = random_floats(context * width, 2);
      std::vector<std::int32_t> tokens(rows);
      std::mt19937 random(3);
      // Few different ones, and two that share a group.
      constexpr std::array<std::int32_t, 4> kFew{0, 64, 65, 129};
      for (std::int32_t& token : tokens) token = kFew.at(random() % kFew.size());
      const std::int32_t* const read = on_.put(tokens);
      float* const words_there = on_.put(wte);
      float* const places_there = on_.put(wpe);
      float* const y = on_.put(Floats(rows * width));
      // From the third row on, as a thread of several would.
      done(kernels_->embed(read, words_there, places_there, 3, 0, context, width, y));
      done(kernels_->embed(read + 3, words_there, places_there, rows - 3, 3, context, width,
                           y + 3 * width));
      Doubles twin(rows * width);
      reference::embed(tokens.data(), doubles(wte).data(), doubles(wpe).data(), rows, context,
                       width, twin.data());
      expect_near(on_.get(y, rows * width), twin, 1e-6, "y");
      const Floats d = random_floats(rows * width, 4);
      const float* const d_there = on_.put(d);
      done(
          kernels_->embed_backward(read, d_there, rows, context, width, words_there, places_there));
      Doubles dwte = doubles(wte);
      Doubles dwpe = doubles(wpe);
      reference::embed_backward(tokens.data(), doubles(d).data(), rows, context, width, dwte.data(),
                                dwpe.data());
      expect_near(on_.get(words_there, words * width), dwte, 1e-5, "wte");
      expect_near(on_.get(places_there, context * width), dwpe, 1e-5, "wpe");
      done(kernels_->embed_backward(read, d_there, rows, context, width, nullptr, nullptr));
    }
  }

  void optimizers() {
    const std::size_t n = 1000;
    const Floats g = random_floats(n, 2);
    AdamwStep step;
    step.learning_rate = 1e-2F;
    step.weight_decay = 0.1F;
    step.gradient_scale = 0.5F;
    const Floats start = random_floats(n, 1);
    float* const w = on_.put(start);
    float* const m = on_.put(Floats(n));
    float* const v = on_.put(Floats(n));
    const float* const gradients = on_.put(g);
    Doubles w2 = doubles(start);
    Doubles m2(n);
    Doubles v2(n);
    for (int t = 1; t <= 5; ++t) {
      step.correction1 = 1 - std::pow(step.beta1, static_cast<float>(t));
      step.correction2 = 1 - std::pow(step.beta2, static_cast<float>(t));
      done(kernels_->adamw(w, gradients, m, v, n, step));
      reference::adamw(w2.data(), doubles(g).data(), m2.data(), v2.data(), n, step);
    }
    expect_near(on_.get(w, n), w2, 2e-6, "adamw");
    SgdStep sgd;
    sgd.learning_rate = 0.1F;
    sgd.momentum = 0.9F;
    sgd.weight_decay = 0.01F;
    float* const s = on_.put(start);
    float* const velocity = on_.put(Floats(n));
    Doubles s2 = doubles(start);
    Doubles velocity2(n);
    for (int t = 0; t < 5; ++t) {
      done(kernels_->sgd(s, gradients, velocity, n, sgd));
      reference::sgd(s2.data(), doubles(g).data(), velocity2.data(), n, sgd);
    }
    expect_near(on_.get(s, n), s2, 2e-6, "sgd");
    sgd.momentum = 0;
    done(kernels_->sgd(s, gradients, nullptr, n, sgd));
    velocity2.assign(n, 0);
    reference::sgd(s2.data(), doubles(g).data(), velocity2.data(), n, sgd);
    expect_near(on_.get(s, n), s2, 2e-6, "sgd without momentum");
  }

  // Tokens around whole tiles, heads around the compiled sizes, several sequences.
  void attention() {
    struct Case {
      std::size_t sequences, tokens, heads, size;
    };
    for (const Case& c :
         {Case{1, 1, 1, 4}, Case{2, 5, 3, 8}, Case{1, 32, 2, 32}, Case{2, 33, 1, 33},
          Case{1, 100, 2, 64}, Case{1, 70, 1, 80}, Case{1, 65, 1, 128}}) {
      attention_of({c.sequences, c.tokens, c.heads, c.heads * c.size});
    }
    const AttentionShape large{1, 4, 1, kHeadSizeMax + 1};
    EXPECT_EQ(kernels_->attention(large, nullptr, nullptr, nullptr).code, Code::kUnimplemented);
    done(kernels_->attention({0, 4, 1, 8}, nullptr, nullptr, nullptr));
  }

 private:
  static void done(const Status& status) { EXPECT_TRUE(status.ok()) << status.message; }

  double fetched(const double* partials) {
    const auto sum = sum_of_partials(on_.device(), partials);
    EXPECT_TRUE(sum.has_value());
    return sum.value_or(NAN);
  }
  double total(const double* values, std::size_t n) {
    double* const partials = on_.put(Doubles(kPartialSums, -1));
    done(kernels_->sum(values, n, partials));
    return fetched(partials);
  }

  void attention_of(const AttentionShape& shape) {
    const std::size_t rows = shape.sequences * shape.tokens;
    const std::size_t n = rows * shape.width;
    // Large scores too: what is rescaled as larger ones come has to stay right.
    const Floats qkv = random_floats(3 * n, 1, 2);
    const Floats dy = random_floats(n, 2);
    const float* const read = on_.put(qkv);
    float* const y = on_.put(Floats(n, NAN));
    float* const log_sums = on_.put(Floats(rows * shape.heads, NAN));
    float* const delta = on_.put(Floats(rows * shape.heads, NAN));
    float* const dqkv = on_.put(Floats(3 * n, NAN));
    done(kernels_->attention(shape, read, y, log_sums));
    done(kernels_->attention_backward(shape, on_.put(dy), read, y, log_sums, delta, dqkv));
    const Doubles exact = doubles(qkv);
    const Doubles exact_dy = doubles(dy);
    Doubles twin(n);
    Doubles gradients(3 * n);
    for (std::size_t s = 0; s < shape.sequences; ++s) {
      const std::size_t at = s * shape.tokens * shape.width;
      reference::attention(exact.data() + 3 * at, shape.tokens, shape.heads, shape.width,
                           twin.data() + at);
      reference::attention_backward(exact_dy.data() + at, exact.data() + 3 * at, shape.tokens,
                                    shape.heads, shape.width, gradients.data() + 3 * at);
    }
    expect_near(on_.get(y, n), twin, 1e-5, "y");
    expect_near(on_.get(dqkv, 3 * n), gradients, 5e-5, "dqkv");
  }

  OnDevice on_;
  std::unique_ptr<DeviceKernels> kernels_;
};

}  // namespace overwinter::worker::cuda
