// The order in which effects leave: seen by ports that write down what they are called with.
#include "coordinator/runtime/effect_dispatcher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace overwinter::runtime {
namespace {

using Calls = std::vector<std::string>;

struct Recorder final : WorkerLink, ResultPort, ReplanPort, ReplyPort {
  void order(const core::Effect& effect) override {
    calls.push_back("order to " + std::to_string(worker_of(effect).value()));
  }
  void launch(const core::LaunchGang& effect) override {
    calls.push_back("launch of job " + std::to_string(effect.job.value()));
  }
  void flush() override { calls.emplace_back("flush"); }
  void end_principal(const core::EndPrincipal&) override { calls.emplace_back("end principal"); }
  void prepare(const core::PrepareResult&) override { calls.emplace_back("prepare"); }
  void finish(const core::FinishResult&) override { calls.emplace_back("finish"); }
  void drop(const core::DropResult&) override { calls.emplace_back("drop"); }
  void replan(JobId) override { calls.emplace_back("replan"); }
  void deliver(const core::Reply&) override { calls.emplace_back("reply"); }
  Calls calls;
};

Calls dispatched(const std::vector<core::Effect>& effects) {
  Recorder recorder;
  EffectDispatcher(Ports{&recorder, &recorder, &recorder, &recorder}).dispatch(effects);
  return recorder.calls;
}

core::OfferSeat offer_to(std::uint64_t worker) {
  core::OfferSeat offer;
  offer.worker = WorkerId(worker);
  return offer;
}
core::HandOutUnits units_for(std::uint64_t worker) {
  core::HandOutUnits units;
  units.worker = WorkerId(worker);
  return units;
}

TEST(EffectDispatcherTest, OrdersOfASubmitLeaveInOneFlushBeforeAllElse) {
  EXPECT_EQ(
      dispatched({core::Reply{}, core::PrepareResult{}, offer_to(1), offer_to(2), units_for(1),
                  units_for(2)}),
      (Calls{"order to 1", "order to 2", "order to 1", "order to 2", "flush", "reply", "prepare"}));
}

TEST(EffectDispatcherTest, ALaunchIsAnOrderToo) {
  core::LaunchGang launch;
  launch.job = JobId(4);
  EXPECT_EQ(dispatched({core::Reply{}, launch}), (Calls{"launch of job 4", "flush", "reply"}));
}

TEST(EffectDispatcherTest, WhatIsNoOrderKeepsItsOrderAndFlushesNothing) {
  EXPECT_EQ(dispatched({core::FinishResult{}, core::DropResult{}, core::Replan{},
                        core::EndPrincipal{}, core::Reply{}}),
            (Calls{"finish", "drop", "replan", "end principal", "reply"}));
  EXPECT_TRUE(dispatched({}).empty());
}

TEST(EffectDispatcherTest, OnlyOrdersNameAWorkerToWait) {
  EXPECT_EQ(worker_of(offer_to(3)), WorkerId(3));
  core::Reply reply;
  reply.worker = WorkerId(3);  // who joined, not who is ordered
  EXPECT_FALSE(worker_of(reply).valid());
}

}  // namespace
}  // namespace overwinter::runtime
