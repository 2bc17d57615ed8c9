#include "common/plan/train_planner.h"

#include <gtest/gtest.h>

#include <cmath>

#include "common/base/bytes.h"
#include "common/plan/train_batch.h"
#include "common/plan/train_memory.h"

namespace overwinter::plan {
namespace {

WorkerOffer a_worker(const std::string& name, std::uint64_t memory, std::uint32_t devices = 1) {
  WorkerOffer worker;
  worker.name = name;
  worker.host_id = "host of " + name;
  worker.network = "10.0.0.0/24";
  worker.link_bytes_per_second = 1e8;
  for (std::uint32_t i = 0; i < devices; ++i)
    worker.devices.push_back({.device = {.kind = "cpu",
                                         .model = "a processor",
                                         .memory_bytes = memory,
                                         .threads = 2,
                                         .gflops_fp32 = 100,
                                         .gflops_fp64 = 50},
                              .price_per_hour = Money{360'000}});
  return worker;
}

ClusterOffer a_cluster(int workers, std::uint64_t memory, std::uint32_t devices = 1) {
  ClusterOffer offer;
  offer.currency_code = "USD";
  for (int i = 1; i <= workers; ++i)
    offer.workers.push_back(a_worker("worker-" + std::to_string(i), memory, devices));
  return offer;
}

TrainProblem a_text() {
  TrainProblem problem;
  problem.data = {.samples = 1'000'000, .text = true};
  problem.data_digests = {"aa", "bb"};
  problem.init_digest = "cc";
  problem.input_bytes = 1'000'000;
  return problem;
}

v1::JobSpec a_gpt(std::uint64_t width = 256, std::uint64_t batch = 16) {
  v1::JobSpec spec;
  v1::GptSpec& gpt = *spec.mutable_train()->mutable_model()->mutable_gpt();
  gpt.set_layers(4);
  gpt.set_heads(8);
  gpt.set_width(static_cast<std::uint32_t>(width));
  gpt.set_context(256);
  spec.mutable_train()->mutable_optimizer()->mutable_adamw();
  spec.mutable_train()->set_batch_size(batch);
  spec.mutable_train()->set_steps(1000);
  return spec;
}

PlanOutcome plan_of(const v1::JobSpec& spec, const ClusterOffer& offer,
                    const TrainProblem& problem = a_text()) {
  auto outcome = plan_job(spec, {.train = &problem}, offer);
  EXPECT_TRUE(outcome.has_value()) << (outcome ? "" : outcome.error().message);
  return outcome ? *outcome : PlanOutcome{};
}

std::uint64_t peak_on(const v1::JobSpec& spec, std::uint64_t ranks, std::uint32_t threads = 2) {
  const auto rank = train_rank(spec.train(), a_text().data, ranks, threads);
  EXPECT_TRUE(rank.has_value());
  return rank ? train_memory(*rank).total_bytes() : 0;
}

bool has_warning(const Alternative& alternative, const std::string& text) {
  for (const std::string& warning : alternative.plan.warnings())
    if (warning.find(text) != std::string::npos) return true;
  return false;
}

TEST(TrainPlanner, IsAGangWithAllThatItsRanksNeed) {
  v1::JobSpec spec = a_gpt();
  spec.set_retries(1);
  spec.mutable_stall_timeout()->set_seconds(60);
  const auto outcome = plan_of(spec, a_cluster(2, 4 * kGiB));
  ASSERT_FALSE(outcome.alternatives.empty());
  const Alternative& best = outcome.alternatives.front();
  EXPECT_EQ(best.demand.transport, Transport::kGang);
  EXPECT_EQ(best.demand.landing, Landing::kReport);
  EXPECT_EQ(best.demand.units, 1u);
  EXPECT_EQ(best.demand.threads, 0u);
  EXPECT_EQ(best.demand.device_kind, "cpu") << "any that has kernels";
  EXPECT_EQ(best.demand.seats_min, 1u);
  EXPECT_EQ(best.demand.seats_max, 16u) << "as many as the batch splits into";
  EXPECT_EQ(best.demand.retries, 1u);
  EXPECT_EQ(best.demand.stall_timeout, Duration(60'000));
  EXPECT_FALSE(best.demand.runs_user_code);
  EXPECT_EQ(best.plan.transport(), "gang");
  EXPECT_EQ(best.plan.memory_bytes(), peak_on(spec, 1));
  const v1::TrainPlan& train = best.plan.train();
  ASSERT_EQ(train.data_digests_size(), 2);
  EXPECT_EQ(train.data_digests(1), "bb");
  EXPECT_EQ(train.init_digest(), "cc");
  EXPECT_EQ(train.micro_batch(), 16u) << "with the fewest ranks";
  EXPECT_EQ(train.data_samples(), 1'000'000u);
  EXPECT_GT(train.step_seconds(), 0);
  EXPECT_EQ(train.weights_bytes() + train.gradients_bytes() + train.optimizer_bytes() +
                train.activations_bytes() + train.buffers_bytes(),
            best.plan.memory_bytes());
  EXPECT_EQ(best.plan.cost().currency_code(), "USD");
  EXPECT_FALSE(best.plan.why().empty());
}

// What must hold of every plan, over models, batches, devices and limits.
TEST(TrainPlanner, EveryAlternativeFitsTheDevicesThatItNames) {
  std::size_t planned = 0;
  std::size_t refused = 0;
  for (std::uint64_t width : {64, 256, 1024})
    for (std::uint64_t batch : {1, 7, 16, 96})
      for (std::uint32_t accumulate : {1, 4})
        for (int workers : {1, 2, 5})
          for (std::uint32_t devices : {1, 2})
            for (std::uint64_t memory : {64 * kMiB, 300 * kMiB, 2 * kGiB, 64 * kGiB}) {
              if (batch < accumulate * devices) continue;
              v1::JobSpec spec = a_gpt(width, batch);
              spec.mutable_train()->set_accumulate(accumulate);
              if (devices == 2) spec.mutable_workers()->set_device("cpu:2");
              ClusterOffer offer = a_cluster(workers, memory, devices);
              offer.workers.push_back(a_worker("small", memory / 3, devices));
              const auto outcome = plan_of(spec, offer);
              ASSERT_EQ(outcome.alternatives.empty(), !outcome.reason.empty());
              ASSERT_LE(outcome.alternatives.size(), 8u);
              if (outcome.alternatives.empty()) ++refused;
              for (const Alternative& a : outcome.alternatives) {
                ++planned;
                const Demand& d = a.demand;
                ASSERT_EQ(d.seats_per_worker, devices);
                ASSERT_EQ(d.seats_min % devices, 0u);
                ASSERT_EQ(d.seats_max % devices, 0u);
                ASSERT_LE(d.seats_min, d.seats_max);
                ASSERT_LE(d.seats_max * accumulate, batch) << "a sample for each rank and piece";
                ASSERT_EQ(a.plan.workers_min() * devices, d.seats_min);
                ASSERT_EQ(a.plan.workers_max() * devices, d.seats_max);
                ASSERT_EQ(a.plan.memory_bytes(), d.predicted_memory_bytes);
                ASSERT_LE(d.memory_bytes, memory);
                ASSERT_GE(d.stop_time, Duration(2000));
                // With any number of ranks that it may get.
                for (std::uint64_t ranks = d.seats_min; ranks <= d.seats_max; ranks += devices) {
                  const auto rank = train_rank(spec.train(), a_text().data, ranks, 2);
                  ASSERT_TRUE(rank.has_value());
                  ASSERT_LE(train_memory(*rank).total_bytes(), d.memory_bytes);
                }
                std::size_t holding = 0;
                for (const WorkerOffer& w : offer.workers)
                  if (w.devices.front().device.memory_bytes >= d.memory_bytes) ++holding;
                ASSERT_GE(holding, a.plan.workers_min()) << "enough workers hold it";
              }
            }
  EXPECT_GT(planned, 200u);
  EXPECT_GT(refused, 10u);
}

TEST(TrainPlanner, MoreMemoryNeverPlansWorse) {
  for (std::uint64_t width : {128, 512})
    for (std::uint64_t batch : {2, 16, 64}) {
      std::optional<Duration> before;
      for (std::uint64_t memory = 32 * kMiB; memory <= 16 * kGiB; memory = memory * 5 / 4) {
        ClusterOffer offer = a_cluster(3, memory);
        offer.workers.push_back(a_worker("other", 200 * kMiB));
        const auto outcome = plan_of(a_gpt(width, batch), offer);
        if (outcome.alternatives.empty()) {
          ASSERT_FALSE(before.has_value()) << "it fitted less memory";
          continue;
        }
        const Duration now = outcome.alternatives.front().demand.predicted_duration;
        ASSERT_LE(now, before.value_or(now)) << format_bytes(memory);
        before = now;
      }
      EXPECT_TRUE(before.has_value());
    }
}

// On one rank the whole batch is too much for a device; on four it is not.
TEST(TrainPlanner, SmallDevicesTakeItTogether) {
  const v1::JobSpec spec = a_gpt(256, 16);
  const std::uint64_t memory = peak_on(spec, 4) + 2 * kMiB;
  ASSERT_LT(memory, peak_on(spec, 3));
  const auto outcome = plan_of(spec, a_cluster(4, memory));
  ASSERT_FALSE(outcome.alternatives.empty());
  EXPECT_EQ(outcome.alternatives.front().demand.seats_min, 4u);
  EXPECT_EQ(outcome.alternatives.front().plan.train().micro_batch(), 4u);
  const auto three = plan_of(spec, a_cluster(3, memory));
  EXPECT_TRUE(three.alternatives.empty());
  EXPECT_NE(three.reason.find(format_bytes(memory)), std::string::npos) << three.reason;
  EXPECT_NE(three.reason.find("or 4 workers with"), std::string::npos) << three.reason;
  EXPECT_NE(three.reason.find("would fit"), std::string::npos) << three.reason;
}

TEST(TrainPlanner, TooSmallMemoryPerDeviceIsRefusedWithWhatWouldFit) {
  v1::JobSpec spec = a_gpt();
  spec.mutable_workers()->set_max(2);
  spec.set_memory_per_device_bytes(20 * kMiB);
  const auto outcome = plan_of(spec, a_cluster(2, 8 * kGiB));
  EXPECT_TRUE(outcome.alternatives.empty());
  EXPECT_NE(outcome.reason.find("memory_per_device is 20.0 MiB"), std::string::npos)
      << outcome.reason;
  // What the refusal proposes is taken.
  const std::uint64_t least = whole_mib(peak_on(spec, 2));
  EXPECT_NE(outcome.reason.find(format_bytes(least)), std::string::npos) << outcome.reason;
  spec.set_memory_per_device_bytes(least);
  const auto fits = plan_of(spec, a_cluster(2, 8 * kGiB));
  ASSERT_FALSE(fits.alternatives.empty());
  EXPECT_EQ(fits.alternatives.front().demand.memory_bytes, least);
  EXPECT_EQ(fits.alternatives.front().demand.seats_min, 2u);
  spec.set_memory_per_device_bytes(9 * kGiB);
  const auto large = plan_of(spec, a_cluster(2, 8 * kGiB));
  EXPECT_TRUE(large.alternatives.empty());
  EXPECT_NE(large.reason.find("9.0 GiB"), std::string::npos) << large.reason;
  EXPECT_EQ(large.ruled_out.size(), 2u);
}

TEST(TrainPlanner, WhatDoesNotGoTogetherIsRefusedWithItsField) {
  const TrainProblem text = a_text();
  const auto field_of = [&](const v1::JobSpec& spec, const TrainProblem& problem) {
    const auto outcome = plan_job(spec, {.train = &problem}, a_cluster(2, 4 * kGiB));
    return outcome ? std::string("planned") : outcome.error().field;
  };
  v1::JobSpec spec = a_gpt(256, 3);
  spec.mutable_workers()->set_min(4);
  EXPECT_EQ(field_of(spec, text), "workload.train.batch_size");
  TrainProblem short_text = text;
  short_text.data.samples = 256;
  EXPECT_EQ(field_of(a_gpt(), short_text), "workload.train.model.gpt.context");
  spec = a_gpt();
  spec.set_transport("elastic");
  EXPECT_EQ(field_of(spec, text), "transport");
  spec = a_gpt();
  spec.mutable_workers()->set_device("cpu:0");
  EXPECT_EQ(field_of(spec, text), "workers.device");
  spec.mutable_workers()->set_device("cpu:");
  EXPECT_EQ(field_of(spec, text), "workers.device");
  EXPECT_EQ(plan_job(a_gpt(), {}, {}).error().field, "workload.train.data");
}

// The largest that a specification may say, each alone and together: bytes beyond what 64 bits
// count are no small number.
TEST(TrainPlanner, HugeDimensionsAreRefusedWithTheirSize) {
  for (const auto& [context, batch] : {std::pair<std::uint32_t, std::uint64_t>{kTrainWidthMax, 1},
                                       {256, kTrainBatchMax},
                                       {kTrainWidthMax, kTrainBatchMax}}) {
    for (const char* activations : {"kept", "recomputed"}) {
      v1::JobSpec spec = a_gpt(4096, batch);
      spec.mutable_train()->mutable_model()->mutable_gpt()->set_context(context);
      spec.mutable_train()->set_activations(activations);
      spec.mutable_workers()->set_max(1);
      TrainProblem problem = a_text();
      problem.data.samples = std::uint64_t{1} << 40;
      const auto outcome = plan_of(spec, a_cluster(1, 64 * kGiB), problem);
      EXPECT_TRUE(outcome.alternatives.empty()) << context << " " << batch;
      EXPECT_NE(outcome.reason.find("needs "), std::string::npos) << outcome.reason;
    }
  }
}

TEST(TrainPlanner, WaitsForWorkersThatAreNotThere) {
  const auto nobody = plan_of(a_gpt(), {});
  ASSERT_EQ(nobody.alternatives.size(), 1u);
  EXPECT_TRUE(has_warning(nobody.alternatives.front(), "it will wait"));
  v1::JobSpec spec = a_gpt();
  spec.mutable_workers()->set_min(3);
  const auto two = plan_of(spec, a_cluster(2, 4 * kGiB));
  ASSERT_EQ(two.alternatives.size(), 1u);
  EXPECT_EQ(two.alternatives.front().demand.seats_min, 3u);
  EXPECT_TRUE(has_warning(two.alternatives.front(), "until 3 workers"));
  ClusterOffer away = a_cluster(3, 4 * kGiB);
  for (WorkerOffer& worker : away.workers) {
    worker.unavailable = "is lost";
    worker.may_return = true;
  }
  const auto lost = plan_of(spec, away);
  ASSERT_FALSE(lost.alternatives.empty());
  EXPECT_TRUE(has_warning(lost.alternatives.front(), "are back"));
  EXPECT_EQ(lost.ruled_out.size(), 3u);
}

// The core never forms a gang over workers that cannot reach each other.
TEST(TrainPlanner, CountsOnlyWorkersThatFormAGang) {
  v1::JobSpec spec = a_gpt();
  spec.mutable_workers()->set_min(2);
  ClusterOffer offer = a_cluster(3, 4 * kGiB);
  for (WorkerOffer& worker : offer.workers) worker.network.clear();
  const auto apart = plan_of(spec, offer);
  ASSERT_EQ(apart.alternatives.size(), 1u);
  EXPECT_TRUE(has_warning(apart.alternatives.front(), "1 are known"));
  offer.workers[0].host_id = offer.workers[2].host_id;
  const auto together = plan_of(spec, offer);
  ASSERT_FALSE(together.alternatives.empty());
  EXPECT_TRUE(together.alternatives.front().plan.warnings().empty());
  // Memory of the host is faster than a network.
  const auto networked = plan_of(spec, a_cluster(2, 4 * kGiB));
  EXPECT_LT(together.alternatives.front().plan.train().step_seconds(),
            networked.alternatives.front().plan.train().step_seconds());
}

TEST(TrainPlanner, ADeadlineTakesTheCheapestInTimeAndACapWarns) {
  v1::JobSpec spec = a_gpt(256, 64);
  const auto free = plan_of(spec, a_cluster(8, 8 * kGiB));
  ASSERT_GT(free.alternatives.size(), 1u);
  for (std::size_t i = 1; i < free.alternatives.size(); ++i)
    EXPECT_LE(free.alternatives[i - 1].demand.predicted_duration,
              free.alternatives[i].demand.predicted_duration);
  spec.mutable_budget()->mutable_deadline()->set_seconds(365 * 86400);
  spec.mutable_budget()->mutable_cap()->set_amount_micros(1);
  const auto late = plan_of(spec, a_cluster(8, 8 * kGiB));
  ASSERT_FALSE(late.alternatives.empty());
  EXPECT_EQ(late.alternatives.front().demand.seats_max, 1u) << "one rank exchanges nothing";
  EXPECT_LT(late.alternatives.front().demand.predicted_cost,
            free.alternatives.front().demand.predicted_cost);
  EXPECT_TRUE(has_warning(late.alternatives.front(), "above the cap"));
}

// The time that a pause needs grows with what a checkpoint holds, within bounds.
TEST(TrainPlanner, StopTimeHoldsACheckpoint) {
  ClusterOffer offer = a_cluster(1, 64 * kGiB);
  const auto small = plan_of(a_gpt(64, 1), offer).alternatives.front();
  const auto large = plan_of(a_gpt(1024, 1), offer).alternatives.front();
  EXPECT_EQ(small.demand.stop_time, Duration(2000));
  const double seconds = static_cast<double>(large.plan.train().weights_bytes() +
                                             large.plan.train().optimizer_bytes()) /
                         1e8;
  EXPECT_GE(static_cast<double>(large.demand.stop_time.count()), seconds * 1000);
  offer.workers[0].link_bytes_per_second = 1;
  EXPECT_EQ(plan_of(a_gpt(), offer).alternatives.front().demand.stop_time, Duration(300'000));
}

TEST(TrainPlanner, TimeIsStepsTimesStepAndCostIsTimeTimesPrice) {
  const auto a = plan_of(a_gpt(), a_cluster(1, 8 * kGiB)).alternatives.front();
  const double seconds = static_cast<double>(a.demand.predicted_duration.count()) / 1000;
  EXPECT_NEAR(seconds, 1000 * a.plan.train().step_seconds() + 1.5 + 0.01, 0.01);
  EXPECT_NEAR(static_cast<double>(a.demand.predicted_cost.micros), seconds * 100, 1);
}

}  // namespace
}  // namespace overwinter::plan
