#include "worker/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/worker/train/train_support.h"

namespace overwinter::worker {
namespace {

TEST(Optimizer, TheRateWarmsUpAndFallsToATenth) {
  OptimizerSettings s;
  s.learning_rate = 1;
  s.warmup_steps = 4;
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 0, 101), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 3, 101), 1);
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 100, 101), 1);
  s.cosine = true;
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 4, 101), 1);
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 52, 101), 0.55);  // half way
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 100, 101), 0.1);
  for (std::uint64_t i = 5; i < 101; ++i)
    EXPECT_LT(learning_rate_at(s, i, 101), learning_rate_at(s, i - 1, 101));
  s.warmup_steps = 200;  // longer than the training
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 99, 100), 0.5);
  s.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 0, 1), 0.1);
}

TEST(Optimizer, DefaultsAndWhatIsRefused) {
  v1::OptimizerSpec spec;
  EXPECT_TRUE(optimizer_settings(spec)->adamw);
  EXPECT_DOUBLE_EQ(optimizer_settings(spec)->learning_rate, 3e-4);
  v1::AdamwSpec& adamw = *spec.mutable_adamw();
  EXPECT_EQ(optimizer_settings(spec).error().field, "workload.train.optimizer.adamw.learning_rate");
  adamw.set_learning_rate(0.1);
  EXPECT_DOUBLE_EQ(optimizer_settings(spec)->beta2, 0.999);
  adamw.set_beta2(1);
  EXPECT_EQ(optimizer_settings(spec).error().field, "workload.train.optimizer.adamw.beta2");
  v1::SgdSpec& sgd = *spec.mutable_sgd();
  sgd.set_learning_rate(std::nan(""));
  EXPECT_EQ(optimizer_settings(spec).error().field, "workload.train.optimizer.sgd.learning_rate");
  sgd.set_learning_rate(0.1);
  sgd.set_clip_norm(-1);
  EXPECT_EQ(optimizer_settings(spec).error().field, "workload.train.optimizer.sgd.clip_norm");
}

// Weights, one step, weights.
std::vector<float> step_of(const v1::OptimizerSpec& optimizer, std::uint32_t threads, double norm,
                           std::vector<std::size_t>* two_dimensional) {
  plan::TrainRank rank;
  rank.shape.kind = plan::TrainKind::kDense;
  rank.shape.widths = {3, 5};
  rank.tensors = plan::train_tensors(rank.shape);
  rank.threads = threads;
  rank.optimizer_slots = plan::optimizer_slots(optimizer);
  Arena arena = std::move(*Arena::make(host(), rank));
  Parameters parameters(arena, rank);
  ComputeTeam team(threads, train_kernels(best_kernel_level()));
  for (float& w : parameters.weights()) w = 2;
  for (float& g : parameters.gradients()) g = 4;
  optimizer_step(team, parameters, *optimizer_settings(optimizer), 0, 0.1, norm);
  std::vector<float> all;
  for (const Parameter& p : parameters.all()) {
    for (std::size_t i = 0; i < p.count; ++i) {
      if (p.shape.size() == 2 && two_dimensional != nullptr) two_dimensional->push_back(all.size());
      all.push_back(p.weights[i]);
    }
  }
  return all;
}

TEST(Optimizer, DecayIsForTwoDimensionsAndClippingForTheWhole) {
  v1::OptimizerSpec spec;
  spec.mutable_sgd()->set_learning_rate(0.1);
  spec.mutable_sgd()->set_weight_decay(0.5);
  spec.mutable_sgd()->set_clip_norm(1);
  for (const std::uint32_t threads : {1U, 4U}) {
    std::vector<std::size_t> matrix;
    const std::vector<float> after = step_of(spec, threads, 8, &matrix);
    ASSERT_EQ(after.size(), 20U);
    ASSERT_EQ(matrix.size(), 15U);
    for (std::size_t i = 0; i < after.size(); ++i)  // 2 - 0.1 (4 / 8 + 0.5 * 2)
      EXPECT_FLOAT_EQ(after[i], i < 15 ? 1.85F : 1.95F);
  }
  v1::OptimizerSpec adamw;
  adamw.mutable_adamw()->set_learning_rate(0.1);
  adamw.mutable_adamw()->set_weight_decay(0.5);
  const std::vector<float> after = step_of(adamw, 2, 8, nullptr);
  for (std::size_t i = 0; i < after.size(); ++i)  // decay, then a first step of the rate's length
    EXPECT_FLOAT_EQ(after[i], i < 15 ? 1.8F : 1.9F);
}

}  // namespace
}  // namespace overwinter::worker
