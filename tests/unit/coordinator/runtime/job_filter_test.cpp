#include "coordinator/runtime/job_filter.h"

#include <gtest/gtest.h>

namespace overwinter::runtime {
namespace {

JobView a_job() {
  JobView job;
  job.name = "licence-7k2f9";
  job.display_name = "my licence";
  job.state = core::JobState::kRunning;
  job.labels = {{"team", "nlp"}};
  job.created = parse_time("2026-11-29T12:00:00Z").value();
  return job;
}

bool matches(std::string_view filter) {
  const auto parsed = JobFilter::parse(filter);
  EXPECT_TRUE(parsed.has_value()) << filter;
  return parsed && parsed->matches(a_job());
}

TEST(JobFilterTest, Terms) {
  EXPECT_TRUE(matches(""));
  EXPECT_TRUE(matches("state=RUNNING"));
  EXPECT_FALSE(matches("state=FAILED"));
  EXPECT_TRUE(matches("state != FAILED"));
  EXPECT_TRUE(matches("labels.team=nlp"));
  EXPECT_FALSE(matches("labels.other=nlp"));
  EXPECT_TRUE(matches("labels.other!=nlp")) << "a label that is not there is not nlp";
  EXPECT_TRUE(matches("display_name=\"my licence\""));
  EXPECT_TRUE(matches("name=licence*"));
  EXPECT_FALSE(matches("NOT name=licence*"));
  EXPECT_TRUE(matches("state=RUNNING AND labels.team=nlp AND NOT priority=high"));
  EXPECT_FALSE(matches("state=RUNNING AND labels.team=vision"));
}

TEST(JobFilterTest, ATimeIsComparedAsInRfc3339WithAnOffsetOrAsADate) {
  EXPECT_TRUE(matches("create_time>=2026-11-29T12:00:00Z"));
  EXPECT_TRUE(matches("create_time >= \"2026-11-29T13:00:00+01:00\""));
  EXPECT_FALSE(matches("create_time>2026-11-29T12:00:00Z"));
  EXPECT_TRUE(matches("create_time>2026-11-29T11:59:59.999Z"));
  EXPECT_TRUE(matches("create_time<=2026-11-29T12:00:00Z"));
  EXPECT_FALSE(matches("create_time<2026-11-29T12:00:00Z"));
  EXPECT_TRUE(matches("create_time<2026-11-30 AND create_time>=2026-11-29 AND state=RUNNING"));
  EXPECT_FALSE(matches("create_time<2026-11-30 AND create_time>=2026-11-29 AND state=FAILED"));
  EXPECT_FALSE(matches("NOT create_time>=2026-11-29"));
  EXPECT_TRUE(matches("NOT create_time<2026-11-29 AND NOT create_time>2026-11-29T12:00:00Z"));
  // The narrowest of several holds.
  EXPECT_FALSE(matches("create_time>=2026-12-01 AND create_time>=2026-11-01"));
  EXPECT_FALSE(matches("create_time<2026-11-01 AND create_time<2026-12-01"));
}

TEST(JobFilterTest, ABadTimeIsSaidInOneSentence) {
  const auto message = [](std::string_view filter) {
    const auto parsed = JobFilter::parse(filter);
    EXPECT_FALSE(parsed.has_value()) << filter;
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_EQ(message("create_time>=yesterday"),
            "the filter is not understood: \"yesterday\" is not a time; write for example "
            "2026-11-24 or 2026-11-24T10:00:00Z");
  EXPECT_EQ(message("create_time=2026-11-24"),
            "the filter is not understood: after \"create_time\" comes >=, >, <= or <");
}

TEST(JobFilterTest, WhatAnIndexAnswersIsTold) {
  const auto parsed = [](std::string_view text) { return JobFilter::parse(text).value(); };
  EXPECT_TRUE(parsed(" ").empty());
  EXPECT_FALSE(parsed("create_time>2026-11-24").empty());
  EXPECT_FALSE(parsed("state=FAILED").empty());
  EXPECT_TRUE(parsed("state=FAILED AND create_time>2026-11-24").of_state_and_time());
  EXPECT_FALSE(parsed("state=FAILED AND state=PAUSED").of_state_and_time());
  EXPECT_FALSE(parsed("NOT state=FAILED").of_state_and_time());
  EXPECT_FALSE(parsed("state=FAILED AND priority=low").of_state_and_time());
}

TEST(JobFilterTest, WhatIsNotUnderstoodIsRefusedWithItsField) {
  for (const char* text : {"state",
                           "state=",
                           "=RUNNING",
                           "colour=red",
                           "state=RUNNING OR state=FAILED",
                           "state=RUNNING state=FAILED",
                           "(state=RUNNING)",
                           "state>RUNNING",
                           "labels.=x",
                           "display_name=\"open",
                           "state=RUNNING AND",
                           "NOT",
                           "!",
                           "state=RUNING",
                           "state=running",
                           "state=X*",
                           "priority=urgent",
                           "state>=RUNNING",
                           "create_time>",
                           "create_time>=",
                           "create_time>=2026-13-01",
                           "create_time!=2026-11-24",
                           "create_time>=2026-11-24T10"}) {
    const auto parsed = JobFilter::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
    EXPECT_EQ(parsed.error().field, "filter");
  }
  EXPECT_FALSE(JobFilter::parse(std::string(2000, 'x')).has_value());
  std::string many = "create_time>2026-11-24";
  for (int i = 0; i < 16; ++i) many += " AND create_time>2026-11-24";
  EXPECT_FALSE(JobFilter::parse(many).has_value());
}

TEST(JobFilterTest, Orders) {
  EXPECT_TRUE(parse_order("").value().descending);
  EXPECT_EQ(parse_order("").value().order, store::JobOrder::kCreated);
  EXPECT_TRUE(parse_order("create_time desc").value().descending);
  EXPECT_FALSE(parse_order("create_time").value().descending);
  EXPECT_EQ(parse_order("cost desc").value().order, store::JobOrder::kCost);
  EXPECT_EQ(parse_order("end_time asc").value().order, store::JobOrder::kEnded);
  for (const char* text : {"age", "cost up", "cost desc, name", "cost  desc", "desc"}) {
    EXPECT_FALSE(parse_order(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace overwinter::runtime
