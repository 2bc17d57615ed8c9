#include "coordinator/dashboard/job_texts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace overwinter::dashboard {
namespace {

class JobTextsTest : public testing::Test {
 protected:
  static runtime::JobViewPtr a_view(std::uint64_t done,
                                    core::JobState state = core::JobState::kRunning,
                                    Transport transport = Transport::kElastic) {
    auto view = std::make_shared<runtime::JobView>();
    view->id = JobId(7);
    view->project = "default";
    view->name = "mm";
    view->state = state;
    view->demand.transport = transport;
    view->demand.units = 100;
    view->attempt = 1;
    if (done > 0) view->done.add(UnitRange{0, done});
    return view;
  }
  static std::string units_done(const JobTexts::Text& text) {
    return nlohmann::json::parse(*text).at("progress").at("unitsDone");
  }

  runtime::Views views_{1};
  JobTexts texts_{views_};
  const Time now_{Duration(1'000'000)};
};

TEST_F(JobTextsTest, AStateIsWrittenOnce) {
  const auto view = a_view(3);
  const auto text = texts_.of(view, now_);
  EXPECT_EQ(nlohmann::json::parse(*text).at("name"), "projects/default/jobs/mm");
  EXPECT_EQ(units_done(text), "3");
  EXPECT_EQ(texts_.of(view, now_ + std::chrono::hours(1)), text);
  EXPECT_EQ(units_done(texts_.of(a_view(4), now_)), "4");
}

TEST_F(JobTextsTest, WhatAGangMeasuresIsReadAnew) {
  const auto view = a_view(0, core::JobState::kRunning, Transport::kGang);
  views_.note_metric("default", view->id, "loss", 2.5);
  const auto text = texts_.of(view, now_);
  views_.note_metric("default", view->id, "loss", 1.5);
  EXPECT_EQ(texts_.of(view, now_ + kResourceEvery - Duration(1)), text);
  const auto later = texts_.of(view, now_ + kResourceEvery);
  EXPECT_EQ(nlohmann::json::parse(*later).at("progress").at("loss"), 1.5);
}

TEST_F(JobTextsTest, NewPricesAreAnotherText) {
  const auto view = a_view(3);
  const auto text = texts_.of(view, now_);
  auto cluster = std::make_shared<runtime::ClusterView>();
  cluster->prices.currency = "CHF";
  runtime::ViewChange change;
  change.cluster = cluster;
  views_.apply(change);
  EXPECT_NE(*texts_.of(view, now_), *text);
}

TEST_F(JobTextsTest, FollowersShareAStateInBetween) {
  const auto first = texts_.recent(false, 10, 9, a_view(10), now_);
  EXPECT_EQ(first.number, 10U);
  const auto soon = now_ + kResourceEvery - Duration(1);
  const auto second = texts_.recent(false, 12, 8, a_view(12), soon);
  EXPECT_EQ(second.number, 10U) << "told so: event 12 is still to be sent";
  EXPECT_EQ(second.text, first.text);
  const auto third = texts_.recent(false, 13, 10, a_view(13), soon);
  EXPECT_EQ(third.number, 13U) << "who has seen it gets no repeat";
  EXPECT_EQ(units_done(third.text), "13");
  EXPECT_EQ(texts_.recent(false, 12, 8, a_view(12), soon).number, 12U)
      << "never ahead of what the follower has heard of";
}

TEST_F(JobTextsTest, NothingIsHeldBackForLong) {
  (void)texts_.recent(false, 10, 9, a_view(10), now_);
  EXPECT_EQ(texts_.recent(false, 12, 8, a_view(12), now_ + kResourceEvery).number, 12U);
}

TEST_F(JobTextsTest, AChangeOfStateIsToldAtOnce) {
  (void)texts_.recent(false, 10, 9, a_view(10), now_);
  const auto ended = texts_.recent(false, 11, 8, a_view(100, core::JobState::kSucceeded), now_);
  EXPECT_EQ(ended.number, 11U);
}

TEST_F(JobTextsTest, NumbersOfTheTwoHistoriesAreKeptApart) {
  (void)texts_.recent(false, 10, 9, a_view(10), now_);
  EXPECT_EQ(texts_.recent(true, 1'000, 900, a_view(10), now_).number, 1'000U);
}

TEST_F(JobTextsTest, HasABound) {
  const auto view = a_view(3);
  const auto text = texts_.of(view, now_);
  for (std::uint64_t i = 0; i < kJobTextsMax; ++i) {
    auto other = std::make_shared<runtime::JobView>(*view);
    other->id = JobId(100 + i);
    (void)texts_.of(other, now_);
  }
  const auto again = texts_.of(view, now_);
  EXPECT_NE(again, text) << "it was let go";
  EXPECT_EQ(*again, *text);
}

}  // namespace
}  // namespace overwinter::dashboard
