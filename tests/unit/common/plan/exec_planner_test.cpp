#include "common/plan/exec_planner.h"

#include <gtest/gtest.h>

#include "common/base/bytes.h"

namespace overwinter::plan {
namespace {

WorkerOffer a_worker(const std::string& name, std::uint64_t memory, std::uint32_t devices = 1,
                     const std::string& kind = "cpu") {
  WorkerOffer worker;
  worker.name = name;
  worker.host_id = "host of " + name;
  worker.network = "10.0.0.0/24";
  for (std::uint32_t i = 0; i < devices; ++i)
    worker.devices.push_back({.device = {.kind = kind,
                                         .model = "a device",
                                         .memory_bytes = memory,
                                         .threads = 2,
                                         .gflops_fp32 = 100,
                                         .gflops_fp64 = 50},
                              .price_per_hour = Money{3'600'000}});
  return worker;
}

v1::JobSpec a_program(std::uint32_t workers = 1, const std::string& device = "any") {
  v1::JobSpec spec;
  spec.mutable_exec()->set_shell("python3 train.py");
  spec.mutable_workers()->set_min(workers);
  spec.mutable_workers()->set_max(workers);
  spec.mutable_workers()->set_device(device);
  spec.mutable_stop()->mutable_grace()->set_seconds(30);
  return spec;
}

PlanOutcome plan_of(const v1::JobSpec& spec, const ClusterOffer& offer,
                    std::uint64_t measured = 0) {
  auto outcome = plan_job(spec, {.exec_peak_bytes = measured}, offer);
  EXPECT_TRUE(outcome.has_value()) << (outcome ? "" : outcome.error().message);
  return outcome ? *outcome : PlanOutcome{};
}

std::string warnings_of(const Alternative& alternative) {
  std::string all;
  for (const std::string& warning : alternative.plan.warnings()) all += warning + "\n";
  return all;
}

TEST(ExecPlanner, TakesTheWholeOfTheSmallestDeviceAndSaysSo) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", 8 * kGiB), a_worker("b", 2 * kGiB), a_worker("c", 4 * kGiB)};
  const auto outcome = plan_of(a_program(2), offer);
  ASSERT_EQ(outcome.alternatives.size(), 1u);
  const Alternative& best = outcome.alternatives.front();
  EXPECT_EQ(best.demand.transport, Transport::kGang);
  EXPECT_EQ(best.demand.landing, Landing::kReport);
  EXPECT_EQ(best.demand.units, 1u);
  EXPECT_EQ(best.demand.memory_bytes, 2 * kGiB);
  EXPECT_TRUE(best.demand.runs_user_code);
  EXPECT_EQ(best.demand.seats_min, 2u);
  EXPECT_EQ(best.demand.seats_max, 2u);
  EXPECT_EQ(best.demand.stop_time, Duration(30'000));
  EXPECT_EQ(best.demand.predicted_duration, Duration(0));
  EXPECT_EQ(best.plan.memory_bytes(), 2 * kGiB);
  EXPECT_NE(warnings_of(best).find("2.0 GiB"), std::string::npos) << warnings_of(best);
  EXPECT_NE(warnings_of(best).find("are not predicted"), std::string::npos);
}

// A device that can never be part of the gang does not bound it.
TEST(ExecPlanner, ASmallWorkerApartDoesNotBoundAGangOfOthers) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", 8 * kGiB), a_worker("b", 8 * kGiB), a_worker("apart", kGiB)};
  offer.workers[2].network = "192.168.7.0/24";
  EXPECT_EQ(plan_of(a_program(2), offer).alternatives.front().demand.memory_bytes, 8 * kGiB);
}

TEST(ExecPlanner, OneProcessADeviceUnlessTheLauncherStartsItsOwn) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", 8 * kGiB, 4, "H100"), a_worker("b", 8 * kGiB, 4, "H100"),
                   a_worker("c", 8 * kGiB, 1, "H100")};
  v1::JobSpec spec = a_program(2, "H100:4");
  for (const auto& [launcher, processes] :
       {std::pair{"env", 4u}, {"mpi", 4u}, {"torchrun", 1u}, {"none", 1u}}) {
    spec.mutable_exec()->set_launcher(launcher);
    const auto outcome = plan_of(spec, offer);
    ASSERT_EQ(outcome.alternatives.size(), 1u);
    const Alternative& best = outcome.alternatives.front();
    EXPECT_EQ(best.plan.exec().processes_per_worker(), processes) << launcher;
    EXPECT_EQ(best.demand.seats_min, 8u);
    EXPECT_EQ(best.demand.seats_per_worker, 4u);
    EXPECT_EQ(best.demand.device_kind, "H100");
    EXPECT_EQ(best.plan.workers_min(), 2u);
    EXPECT_EQ(best.plan.device(), "H100:4");
  }
}

TEST(ExecPlanner, ATimeLimitBoundsTimeAndCost) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", kGiB), a_worker("b", kGiB)};
  v1::JobSpec spec = a_program(2);
  spec.mutable_time_limit()->set_seconds(1800);
  const auto best = plan_of(spec, offer).alternatives.front();
  EXPECT_EQ(best.demand.predicted_duration, Duration(1'800'000));
  EXPECT_EQ(best.demand.predicted_cost.micros, 3'600'000);
}

TEST(ExecPlanner, WorkersThatRunNoProgramsAreRuledOut) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", kGiB), a_worker("b", kGiB)};
  offer.workers[0].no_exec = "--no-exec";
  const auto outcome = plan_of(a_program(2), offer);
  ASSERT_EQ(outcome.ruled_out.size(), 1u);
  EXPECT_EQ(outcome.ruled_out[0].what(), "a");
  EXPECT_NE(outcome.ruled_out[0].why().find("--no-exec"), std::string::npos);
  ASSERT_EQ(outcome.alternatives.size(), 1u);
  EXPECT_NE(warnings_of(outcome.alternatives[0]).find("until 2 workers"), std::string::npos);
}

TEST(ExecPlanner, WhatNoDeviceHoldsIsRefusedWithTheNumbers) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", 2 * kGiB), a_worker("b", 4 * kGiB)};
  v1::JobSpec spec = a_program();
  spec.set_memory_per_device_bytes(5 * kGiB);
  const auto outcome = plan_of(spec, offer);
  EXPECT_TRUE(outcome.alternatives.empty());
  EXPECT_NE(outcome.reason.find("5.0 GiB"), std::string::npos) << outcome.reason;
  EXPECT_NE(outcome.reason.find("4.0 GiB"), std::string::npos) << outcome.reason;
  EXPECT_EQ(outcome.ruled_out.size(), 2u);
  spec.set_memory_per_device_bytes(4 * kGiB);
  const auto fits = plan_of(spec, offer);
  ASSERT_EQ(fits.alternatives.size(), 1u);
  EXPECT_EQ(fits.alternatives[0].demand.memory_bytes, 4 * kGiB);
  EXPECT_EQ(fits.ruled_out.size(), 1u);
  const auto many = plan_of(a_program(1, "cpu:3"), offer);
  EXPECT_TRUE(many.alternatives.empty());
  EXPECT_NE(many.reason.find("3 devices"), std::string::npos) << many.reason;
}

TEST(ExecPlanner, WaitsForItsFirstWorkerAndIsNoElasticJob) {
  const auto outcome = plan_of(a_program(), {});
  ASSERT_EQ(outcome.alternatives.size(), 1u);
  EXPECT_NE(warnings_of(outcome.alternatives[0]).find("it will wait"), std::string::npos);
  v1::JobSpec spec = a_program();
  spec.set_transport("elastic");
  EXPECT_EQ(plan_job(spec, {}, {}).error().field, "transport");
}

TEST(ExecPlanner, ProposesWhatAnEarlierRunTookAndAQuarterMore) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", 8 * kGiB)};
  const auto outcome = plan_of(a_program(), offer, kGiB - 100);
  ASSERT_EQ(outcome.alternatives.size(), 1u);
  const Alternative& best = outcome.alternatives.front();
  EXPECT_EQ(best.demand.memory_bytes, 1280 * kMiB);
  EXPECT_TRUE(best.plan.exec().measured());
  EXPECT_NE(warnings_of(best).find("took 1.0 GiB"), std::string::npos) << warnings_of(best);
  EXPECT_EQ(plan_of(a_program(), offer, kMiB).alternatives.front().demand.memory_bytes, 65 * kMiB)
      << "never less than a margin of 64 MiB";
  auto asked = a_program();
  asked.set_memory_per_device_bytes(3 * kGiB);
  const auto said = plan_of(asked, offer, kGiB);
  EXPECT_EQ(said.alternatives.front().demand.memory_bytes, 3 * kGiB);
  EXPECT_FALSE(said.alternatives.front().plan.exec().measured());
}

TEST(ExecPlanner, TakesAWholeDeviceWhereTheMeasuredPeakHasNoRoom) {
  ClusterOffer offer;
  offer.workers = {a_worker("a", 2 * kGiB)};
  const auto outcome = plan_of(a_program(), offer, 2 * kGiB);
  ASSERT_EQ(outcome.alternatives.size(), 1u);
  EXPECT_EQ(outcome.alternatives.front().demand.memory_bytes, 2 * kGiB);
  EXPECT_FALSE(outcome.alternatives.front().plan.exec().measured());
}

TEST(ExecPlanner, AMachineHasWhatTheJobAsksForBesideItsDevices) {
  ClusterOffer offer;
  offer.workers = {a_worker("small", 8 * kGiB), a_worker("large", 8 * kGiB)};
  offer.workers[0].host = {16 * kGiB, 4};
  offer.workers[1].host = {64 * kGiB, 32};
  auto spec = a_program();
  spec.mutable_host()->set_memory_bytes(32 * kGiB);
  const auto outcome = plan_of(spec, offer);
  ASSERT_EQ(outcome.ruled_out.size(), 1u);
  EXPECT_EQ(outcome.ruled_out[0].what(), "small");
  EXPECT_EQ(outcome.ruled_out[0].why(),
            "is on a machine with 16.0 GiB of memory; host.memory is 32.0 GiB");
  EXPECT_EQ(outcome.alternatives.front().demand.host, (HostSize{32 * kGiB, 0}));
  spec.mutable_host()->set_cpus(64);
  EXPECT_EQ(plan_of(spec, offer).ruled_out[1].why(),
            "is on a machine with 32 processors; host.cpus is 64");
}

}  // namespace
}  // namespace overwinter::plan
