// A step of a GPT on the twin of a GPU against the slow twin of worker/train: the loss, and its
// slopes by finite differences in double.
#include "worker/cuda/device_gpt.h"

#include <gtest/gtest.h>

#include "common/plan/train_shape.h"
#include "tests/contract/on_device.h"
#include "worker/cuda/host_accelerator.h"
#include "worker/train/reference_model.h"

namespace overwinter::worker::cuda {
namespace {

constexpr GptShape kShape{
    .layers = 2, .heads = 2, .width = 8, .context = 6, .vocabulary = 11, .batch = 3};

plan::TrainShape plan_shape() {
  plan::TrainShape shape;
  shape.layers = kShape.layers;
  shape.heads = kShape.heads;
  shape.width = kShape.width;
  shape.context = kShape.context;
  shape.vocabulary = kShape.vocabulary;
  return shape;
}

class DeviceGptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    weights_ = random_floats(kShape.parameters(), 1, 0.3F);
    std::mt19937 random(2);
    for (auto* of : {&tokens_, &targets_}) {
      for (std::size_t i = 0; i < kShape.rows(); ++i)
        of->push_back(static_cast<std::int32_t>(random() % kShape.vocabulary));
    }
  }
  // Of these weights, which are cut as the plan says.
  [[nodiscard]] double twin_loss(const Doubles& weights) const {
    ReferenceTensors tensors;
    std::size_t at = 0;
    for (const plan::TrainTensor& tensor : plan::train_tensors(plan_shape())) {
      std::size_t size = 1;
      for (const auto side : tensor.shape) size *= static_cast<std::size_t>(side);
      tensors.emplace_back(weights.begin() + static_cast<std::ptrdiff_t>(at),
                           weights.begin() + static_cast<std::ptrdiff_t>(at + size));
      at += size;
    }
    EXPECT_EQ(at, kShape.parameters());
    return reference_gpt_loss(plan_shape(), tensors, tokens_, targets_);
  }
  HostAccelerator host_;
  BoundedPool pool_{host_.memory(), std::size_t{64} << 20, "the device"};
  Floats weights_;
  std::vector<std::int32_t> tokens_, targets_;
};

TEST_F(DeviceGptTest, LossAndGradientsAreTheTwins) {
  auto gpt = DeviceGpt::make(host_, pool_.memory(), kShape, false);
  ASSERT_TRUE(gpt.has_value()) << gpt.error().message;
  ASSERT_TRUE((*gpt)->set_weights(weights_).ok());
  ASSERT_TRUE((*gpt)->gradients_of(targets_, tokens_).has_value());  // nothing of it stays
  const auto loss = (*gpt)->gradients_of(tokens_, targets_);
  ASSERT_TRUE(loss.has_value()) << loss.error().message;
  Doubles weights = doubles(weights_);
  EXPECT_NEAR(*loss, twin_loss(weights), 1e-5);
  const auto gradients = (*gpt)->gradients();
  ASSERT_TRUE(gradients.has_value());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    constexpr double kStep = 1e-4;
    const double at = weights[i];
    weights[i] = at + kStep;
    const double above = twin_loss(weights);
    weights[i] = at - kStep;
    const double below = twin_loss(weights);
    weights[i] = at;
    ASSERT_NEAR(static_cast<double>((*gradients)[i]), (above - below) / (2 * kStep), 2e-5) << i;
  }
}

TEST_F(DeviceGptTest, StepsLowerTheLoss) {
  auto gpt = DeviceGpt::make(host_, pool_.memory(), kShape, false);
  ASSERT_TRUE(gpt.has_value());
  ASSERT_TRUE((*gpt)->set_weights(weights_).ok());
  AdamwStep step;
  step.learning_rate = 1e-2F;
  double first = 0;
  double last = 0;
  for (int t = 1; t <= 30; ++t) {
    last = (*gpt)->gradients_of(tokens_, targets_).value();
    if (t == 1) first = last;
    step.correction1 = 1 - std::pow(step.beta1, static_cast<float>(t));
    step.correction2 = 1 - std::pow(step.beta2, static_cast<float>(t));
    ASSERT_TRUE((*gpt)->adamw(step).ok());
  }
  EXPECT_LT(last, first / 2);
  EXPECT_NE((*gpt)->weights().value(), weights_);
}

TEST_F(DeviceGptTest, SaysWhatDoesNotFit) {
  BoundedPool small(host_.memory(), 10'000, "the device");
  EXPECT_EQ(DeviceGpt::make(host_, small.memory(), kShape, false).error().code,
            Code::kResourceExhausted);
  auto gpt = DeviceGpt::make(host_, pool_.memory(), kShape, false);
  ASSERT_TRUE(gpt.has_value());
  EXPECT_EQ((*gpt)->set_weights(Floats(3)).code, Code::kInvalidArgument);
  tokens_.pop_back();
  EXPECT_EQ((*gpt)->gradients_of(tokens_, targets_).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace overwinter::worker::cuda
