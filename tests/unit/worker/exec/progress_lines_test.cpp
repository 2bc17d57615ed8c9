#include "worker/exec/progress_lines.h"

#include <gtest/gtest.h>

#include <cmath>

namespace overwinter::worker::exec {
namespace {

TEST(ProgressLinesTest, OwnLines) {
  const ProgressLine line =
      parse_progress("overwinter: step=10 loss=2.31, accuracy=0.5 name=x", {});
  EXPECT_EQ(line.step, 10U);
  EXPECT_EQ(line.loss, 2.31);
  ASSERT_EQ(line.metrics.size(), 1U);
  EXPECT_EQ(line.metrics[0], (std::pair<std::string, double>("accuracy", 0.5)));
  EXPECT_TRUE(std::isnan(*parse_progress("overwinter: loss=nan", {}).loss));
  EXPECT_TRUE(std::isinf(*parse_progress("overwinter: loss=-inf", {}).loss));
  EXPECT_EQ(parse_progress("  overwinter: validation_loss=3e-2\r", {}).validation_loss, 0.03);
  EXPECT_FALSE(parse_progress("overwinter: step=-1", {}).step.has_value());
  EXPECT_FALSE(parse_progress("overwinter: step=1.5", {}).step.has_value());
  EXPECT_FALSE(parse_progress("overwinter: step=1e300", {}).step.has_value());
  EXPECT_TRUE(parse_progress("an overwinter: step=1", {}).empty());
  EXPECT_TRUE(parse_progress("overwinter: = =1 x= step=1x", {}).empty());
}

TEST(ProgressLinesTest, HuggingFaceTrainer) {
  const ProgressLine line = parse_progress(
      "{'loss': 2.5104, 'grad_norm': 1.2, 'learning_rate': 4.9e-05, 'epoch': 0.03}", {});
  EXPECT_EQ(line.loss, 2.5104);
  ASSERT_EQ(line.metrics.size(), 3U);
  EXPECT_EQ(line.metrics[1].second, 4.9e-05);
  EXPECT_EQ(parse_progress("{'eval_loss': 1.5, 'epoch': 1.0}", {}).validation_loss, 1.5);
  EXPECT_EQ(parse_progress("{'loss': '0.25', 'epoch': '1'}", {}).loss, 0.25);
  EXPECT_EQ(parse_progress("{\"loss\": 0.25}", {}).loss, 0.25);
  for (const char* text :
       {"{'", "{'}", "{'a'}", "{'a':}", "{'a': {'b': 1}}", "{}", "{'loss': x}", "{',}"})
    EXPECT_TRUE(parse_progress(text, {}).empty()) << text;
}

TEST(ProgressLinesTest, PatternsOfTheJobFile) {
  std::vector<NamedPattern> patterns;
  patterns.push_back({"loss", *MetricPattern::parse("loss[=: ]+([0-9.]+)")});
  patterns.push_back({"step", *MetricPattern::parse("Step (\\d+)")});
  patterns.push_back({"tokens", *MetricPattern::parse("([0-9]+) tok/s")});
  const ProgressLine line = parse_progress("Step 12 | loss: 3.25 | 900 tok/s", patterns);
  EXPECT_EQ(line.step, 12U);
  EXPECT_EQ(line.loss, 3.25);
  ASSERT_EQ(line.metrics.size(), 1U);
  EXPECT_EQ(line.metrics[0].second, 900);
  EXPECT_TRUE(parse_progress("nothing here", patterns).empty());
}

TEST(ProgressLinesTest, ALineOfManyValuesIsBounded) {
  std::string text = "overwinter:";
  for (int i = 0; i < 100; ++i) text += " m" + std::to_string(i) + "=1";
  EXPECT_EQ(parse_progress(text, {}).metrics.size(), kMetricsMax);
}

}  // namespace
}  // namespace overwinter::worker::exec
