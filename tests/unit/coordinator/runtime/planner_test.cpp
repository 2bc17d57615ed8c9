// What a plan may ask of the coordinator itself, and what it knows of links.
#include "coordinator/runtime/planner.h"

#include <gtest/gtest.h>

#include "common/verify/freivalds.h"

namespace overwinter::runtime {
namespace {

plan::Alternative tiles_of(std::uint64_t size, std::uint64_t tile) {
  plan::Alternative out;
  v1::MatmulPlan& plan = *out.plan.mutable_matmul();
  plan.set_m(size);
  plan.set_k(size);
  plan.set_n(size);
  plan.set_precision("fp32");
  plan.set_tile_rows(tile);
  plan.set_tile_columns(tile);
  plan.set_panel_depth(tile);
  plan.set_grid_rows((size + tile - 1) / tile);
  plan.set_grid_columns((size + tile - 1) / tile);
  plan.set_group_rows(1);
  return out;
}

TEST(Planner, SketchesThatAreTooLargeAreRuledOutWithTheirNumber) {
  plan::PlanOutcome outcome;
  outcome.alternatives = {tiles_of(8192, 64), tiles_of(8192, 2048)};
  const auto large = plan::geometry_of(outcome.alternatives[0].plan.matmul());
  const auto small = plan::geometry_of(outcome.alternatives[1].plan.matmul());
  ASSERT_TRUE(large && small);
  const std::uint64_t between = verify::SketchBuilder::memory_bytes(*small);
  ASSERT_LT(between, verify::SketchBuilder::memory_bytes(*large));
  rule_out_large_sketches(outcome, between);
  ASSERT_EQ(outcome.alternatives.size(), 1U);
  EXPECT_EQ(outcome.alternatives[0].plan.matmul().tile_rows(), 2048U);
  ASSERT_EQ(outcome.ruled_out.size(), 1U);
  EXPECT_EQ(outcome.ruled_out[0].what(), "tiles of 64 x 64");
  EXPECT_TRUE(outcome.reason.empty());
  rule_out_large_sketches(outcome, between - 1);
  EXPECT_TRUE(outcome.alternatives.empty());
  EXPECT_NE(outcome.reason.find(format_bytes(between)), std::string::npos) << outcome.reason;
  EXPECT_NE(outcome.reason.find(format_bytes(between - 1)), std::string::npos) << outcome.reason;
}

TEST(Planner, WhatDoesNotFitForOtherReasonsKeepsItsReason) {
  plan::PlanOutcome outcome;
  outcome.reason = "no worker has the memory";
  rule_out_large_sketches(outcome, 1);
  EXPECT_EQ(outcome.reason, "no worker has the memory");
}

TEST(LinkMeter, TheFastestOfTheRecentTransfersIsTheLink) {
  LinkMeter links;
  const WorkerId worker(1);
  EXPECT_EQ(links.bytes_per_second(worker), 0);
  links.note(worker, kMiB - 1, std::chrono::microseconds(1));  // too short to tell
  EXPECT_EQ(links.bytes_per_second(worker), 0);
  links.note(worker, 8'000'000, std::chrono::milliseconds(80));
  links.note(worker, 8'000'000, std::chrono::seconds(4));  // its reader was busy
  EXPECT_DOUBLE_EQ(links.bytes_per_second(worker), 1e8);
  EXPECT_EQ(links.bytes_per_second(WorkerId(2)), 0);
  for (std::size_t i = 0; i < LinkMeter::kKept; ++i) {
    links.note(worker, 8'000'000, std::chrono::seconds(1));  // the link has become slower
  }
  EXPECT_DOUBLE_EQ(links.bytes_per_second(worker), 8e6);
}

TEST(LinkMeter, OffersSayWhatWasMeasured) {
  Views views(1);
  auto worker = std::make_shared<WorkerView>();
  worker->id = WorkerId(7);
  worker->name = "far";
  worker->state = core::WorkerState::kReady;
  ViewChange change;
  change.workers = {worker};
  views.apply(change);
  LinkMeter links;
  const Principal everybody;
  EXPECT_EQ(offer_to(views, links, everybody, "default").workers.at(0).link_bytes_per_second, 0);
  links.note(WorkerId(7), 4'000'000, std::chrono::seconds(2));
  EXPECT_DOUBLE_EQ(offer_to(views, links, everybody, "default").workers.at(0).link_bytes_per_second,
                   2e6);
}

}  // namespace
}  // namespace overwinter::runtime
