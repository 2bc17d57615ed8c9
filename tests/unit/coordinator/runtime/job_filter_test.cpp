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

TEST(JobFilterTest, WhatIsNotUnderstoodIsRefusedWithItsField) {
  for (const char* text :
       {"state", "state=", "=RUNNING", "colour=red", "state=RUNNING OR state=FAILED",
        "state=RUNNING state=FAILED", "(state=RUNNING)", "state>RUNNING", "labels.=x",
        "display_name=\"open", "state=RUNNING AND", "NOT", "!", "state=RUNING", "state=running",
        "state=X*", "priority=urgent"}) {
    const auto parsed = JobFilter::parse(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
    EXPECT_EQ(parsed.error().field, "filter");
  }
  EXPECT_FALSE(JobFilter::parse(std::string(2000, 'x')).has_value());
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
