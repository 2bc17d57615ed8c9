// Which precision a training's plan decides on, by what devices told of themselves.
#include "common/plan/train_choice.h"

#include <gmock/gmock.h>

#include "common/base/bytes.h"
#include "common/plan/job_planner.h"

namespace overwinter::plan {
namespace {

using testing::HasSubstr;

struct Told {
  double fp32 = 100;
  double bf16 = 0;
  std::uint64_t memory = 4 * kGiB;
  bool away = false;
};
constexpr Told kNarrow{.bf16 = 200};
constexpr Told kWide{};

ClusterOffer offer_of(const std::vector<Told>& devices) {
  ClusterOffer offer;
  for (const Told& told : devices) {
    WorkerOffer& worker = offer.workers.emplace_back();
    worker.name = "worker-" + std::to_string(offer.workers.size());
    worker.host_id = "host of " + worker.name;
    worker.network = "10.0.0.0/24";
    if (told.away) worker.unavailable = "is draining";
    worker.may_return = told.away;
    worker.devices.push_back({.device = {.kind = "cpu",
                                         .memory_bytes = told.memory,
                                         .threads = 2,
                                         .gflops_fp32 = told.fp32,
                                         .gflops_bf16 = told.bf16},
                              .price_per_hour = Money{360'000}});
  }
  return offer;
}

v1::Plan plan_of(const std::string& precision, const std::vector<Told>& devices) {
  v1::JobSpec spec;
  v1::GptSpec& gpt = *spec.mutable_train()->mutable_model()->mutable_gpt();
  gpt.set_layers(4);
  gpt.set_heads(8);
  gpt.set_width(256);
  gpt.set_context(256);
  spec.mutable_train()->mutable_optimizer()->mutable_adamw();
  spec.mutable_train()->set_batch_size(16);
  spec.mutable_train()->set_steps(1000);
  spec.mutable_train()->set_precision(precision);
  TrainProblem problem;
  problem.data = {.samples = 1'000'000, .text = true};
  const auto outcome = plan_job(spec, {.train = &problem}, offer_of(devices));
  EXPECT_TRUE(outcome.has_value() && !outcome->alternatives.empty());
  return outcome && !outcome->alternatives.empty() ? outcome->alternatives.front().plan
                                                   : v1::Plan();
}

std::string warnings_of(const v1::Plan& plan) {
  std::string all;
  for (const std::string& warning : plan.warnings()) all += warning + "\n";
  return all;
}

TEST(TrainChoice, AutoIsBf16WhereAllDevicesHaveIt) {
  for (const char* word : {"auto", ""}) {
    const v1::Plan plan = plan_of(word, {kNarrow, kNarrow});
    EXPECT_EQ(plan.train().precision(), "bf16");
    EXPECT_THAT(plan.why(),
                HasSubstr(" in bf16 (auto: all 2 devices that may take part have instructions for "
                          "it), predicted"));
    EXPECT_EQ(warnings_of(plan), "");
    EXPECT_EQ(plan.memory_bytes(), plan_of("bf16", {kNarrow, kNarrow}).memory_bytes());
    EXPECT_LT(plan.train().step_seconds(),
              plan_of("fp32", {kNarrow, kNarrow}).train().step_seconds())
        << "predicted with the speed that was told";
  }
  EXPECT_THAT(plan_of("auto", {kNarrow}).why(),
              HasSubstr("(auto: worker-1 has instructions for it)"));
}

TEST(TrainChoice, AutoIsFp32WhereOneLacksThemAndSaysWhich) {
  const v1::Plan one = plan_of("auto", {kNarrow, kWide});
  EXPECT_EQ(one.train().precision(), "fp32");
  EXPECT_THAT(one.why(), HasSubstr(" in fp32 (auto: worker-2 has no instructions for bf16),"));
  EXPECT_EQ(one.memory_bytes(), plan_of("fp32", {kNarrow, kWide}).memory_bytes());
  EXPECT_EQ(one.train().step_seconds(), plan_of("fp32", {kNarrow, kWide}).train().step_seconds());
  EXPECT_EQ(warnings_of(one), "");
  EXPECT_THAT(plan_of("auto", {kWide, kWide, kWide, kWide, kWide}).why(),
              HasSubstr("(auto: worker-1, worker-2, worker-3 and 2 more have no instructions"));
  // It may come back and take part.
  Told away = kWide;
  away.away = true;
  EXPECT_EQ(plan_of("auto", {kNarrow, away}).train().precision(), "fp32");
}

TEST(TrainChoice, WhatIsNotKnownIsNotTrusted) {
  const v1::Plan unmeasured = plan_of("auto", {kNarrow, {.fp32 = 0}});
  EXPECT_EQ(unmeasured.train().precision(), "fp32");
  EXPECT_THAT(unmeasured.why(), HasSubstr("(auto: worker-2 told no speed of bf16)"));
  const v1::Plan nobody = plan_of("auto", {});
  EXPECT_EQ(nobody.train().precision(), "fp32");
  EXPECT_THAT(nobody.why(), HasSubstr("(auto: no device that fits is known yet)"));
}

TEST(TrainChoice, ADeviceThatHoldsNoSeatSaysNothing) {
  Told small = kWide;
  small.memory = 32 * kMiB;
  const v1::Plan plan = plan_of("auto", {kNarrow, small});
  EXPECT_EQ(plan.train().precision(), "bf16");
  EXPECT_THAT(plan.why(), HasSubstr("(auto: worker-1 has instructions for it)"));
}

TEST(TrainChoice, WhatIsAskedForIsObeyedWithAWarning) {
  const v1::Plan mixed = plan_of("bf16", {kNarrow, kWide});
  EXPECT_EQ(mixed.train().precision(), "bf16");
  EXPECT_THAT(mixed.why(), HasSubstr(" in bf16, as asked, predicted"));
  EXPECT_THAT(warnings_of(mixed), HasSubstr("worker-2 has no instructions for bf16: products are "
                                            "widened to fp32 there, which is slower"));
  const v1::Plan halves = plan_of("fp16", {kNarrow, kWide});
  EXPECT_EQ(halves.train().precision(), "fp16");
  EXPECT_THAT(warnings_of(halves), HasSubstr("worker-1, worker-2 have no instructions for fp16"));
  for (const v1::Plan& plain : {plan_of("bf16", {kNarrow}), plan_of("fp32", {kNarrow, kWide})})
    EXPECT_EQ(warnings_of(plain), "");
}

TEST(TrainChoice, AnUnknownWordIsRefused) {
  EXPECT_EQ(choose_precision("fp8", {}).error().field, "workload.train.precision");
}

}  // namespace
}  // namespace overwinter::plan
