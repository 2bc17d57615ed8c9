#include "worker/gang/train_task.h"

#include <cmath>

#include "tests/unit/worker/gang/train_support.h"

namespace overwinter::worker {
namespace {

using Steps = std::vector<std::uint64_t>;

TEST_F(TrainTaskTest, TrainsToTheEndAndSaysHowItGoes) {
  make_ports(2, task());
  port(0).after_step = [&](std::uint64_t) { clock_.now_ms += 500; };
  run_well();
  EXPECT_EQ(port(0).told.front().phase(), "load");
  const auto losses = port(0).losses();
  ASSERT_EQ(losses.size(), 12U);
  EXPECT_LT(losses.at(12), losses.at(1));
  for (const std::size_t rank : {0U, 1U}) {
    EXPECT_EQ(port(rank).last_step(), 12U);
    EXPECT_GT(port(rank).told.back().memory_peak_bytes(), 100 * kKiB);
    EXPECT_GT(port(rank).told.back().memory_used_bytes(), 100 * kKiB);
    EXPECT_LE(port(rank).told.back().memory_used_bytes(),
              port(rank).told.back().memory_peak_bytes());
    EXPECT_TRUE(port(rank).said("validate"));
  }
  // What is known of all ranks, one of them says.
  EXPECT_FALSE(port(1).told.back().has_loss());
  const v1::RankProgress& last = port(0).told.back();
  EXPECT_EQ(last.phase(), "checkpoint");
  EXPECT_NEAR(last.validation_loss(), last.loss(), 1.0);
  EXPECT_GT(last.gradient_norm(), 0);
  EXPECT_EQ(last.learning_rate(), 1e-2);
  EXPECT_EQ(port(0).sent_steps(), Steps{12});
  EXPECT_TRUE(port(1).sent.empty());
  EXPECT_TRUE(job_folder_is_empty());
}

TEST_F(TrainTaskTest, SpeedIsThatOfAStep) {
  make_ports(1, task());
  // The clock moves between steps only: within one no time passes, and no speed is said.
  run_well();
  EXPECT_EQ(port().told.back().samples_per_second(), 0);
  class Ticking final : public Clock {
   public:
    [[nodiscard]] std::chrono::milliseconds wall() const override { return {}; }
    [[nodiscard]] std::chrono::nanoseconds monotonic() const override {
      return std::chrono::milliseconds(500 * ++reads_);
    }

   private:
    mutable std::atomic<int> reads_{0};
  } ticking;
  make_ports(1, task());
  ThreadGroup alone(1);
  const auto end = alone.end_of(0);
  ASSERT_TRUE(TrainTask(ticking).run(*end, port()).ok());
  EXPECT_EQ(port().told.back().samples_per_second(), 24);
  EXPECT_EQ(port().told.back().tokens_per_second(), 24 * 8);
}

TEST_F(TrainTaskTest, GoesOnBitForBitAndOnOtherRanksWithinRounding) {
  make_ports(2, task());
  run_well();
  const auto whole = port().losses();

  make_ports(2, task());
  port(1).after_step = [&](std::uint64_t step) {
    if (step == 5) port(1).stop = v1::RankStop::AFTER_CHECKPOINT;
  };
  run_well();
  // One rank heard of it: all end at the step.
  EXPECT_EQ(port(0).last_step(), 5U);
  EXPECT_EQ(port(1).last_step(), 5U);
  ASSERT_EQ(port().sent_steps(), Steps{5});
  const v1::RankCheckpoint half = port().sent[0];

  make_ports(2, going_on(half));
  run_well();
  const auto rest = port().losses();
  ASSERT_EQ(rest.size(), 7U);
  for (const auto& [step, loss] : rest) EXPECT_EQ(loss, whole.at(step)) << step;
  for (const std::size_t ranks : {1U, 3U}) {
    make_ports(ranks, going_on(half));
    run_well();
    const auto other = port().losses();
    ASSERT_EQ(other.size(), 7U);
    for (const auto& [step, loss] : other) EXPECT_NEAR(loss, whole.at(step), 1e-4) << step;
  }
}

TEST_F(TrainTaskTest, WhatWentOnFromTheEndOnlyMeasures) {
  make_ports(1, task());
  run_well();
  const double loss = port().told.back().validation_loss();
  const v1::RankCheckpoint end = port().sent[0];
  make_ports(1, going_on(end));
  run_well();
  EXPECT_TRUE(port().sent.empty());
  EXPECT_EQ(port().told.back().validation_loss(), loss);
  EXPECT_EQ(port().last_step(), 12U);
}

TEST_F(TrainTaskTest, NowEndsWithoutACheckpointWhoeverHearsIt) {
  make_ports(2, task());
  port(1).after_step = [&](std::uint64_t step) {
    if (step == 3) port(1).stop = v1::RankStop::NOW;
  };
  run_well();
  EXPECT_EQ(port(0).last_step(), 3U);
  EXPECT_TRUE(port(0).sent.empty());
}

TEST_F(TrainTaskTest, AStopBeforeTheFirstStepNeedsNoCheckpoint) {
  make_ports(2, task());
  port(0).stop = v1::RankStop::AFTER_CHECKPOINT;
  run_well();
  EXPECT_TRUE(port(0).sent.empty());
  EXPECT_EQ(port(1).last_step(), 0U);
}

TEST_F(TrainTaskTest, WhileOneIsNotAnsweredTheNextIsSkippedButNotTheLast) {
  task_.set_checkpoint_every_steps(2);
  make_ports(2, task());
  port().answers_only_who_waits = true;
  run_well();
  EXPECT_EQ(port().sent_steps(), (Steps{2, 12}));
  EXPECT_TRUE(job_folder_is_empty());
}

TEST_F(TrainTaskTest, TimeMakesOneDueOnTheClockOfTheFirstRank) {
  task_.set_checkpoint_every_ms(1000);
  make_ports(2, task());
  port(0).answers_only_who_waits = true;
  port(0).after_step = [&](std::uint64_t) { clock_.now_ms += 250; };
  run_well();
  EXPECT_EQ(port().sent_steps(), (Steps{4, 12}));
}

TEST_F(TrainTaskTest, OneThatIsAskedForInPassingIsWrittenAndTheTrainingGoesOn) {
  make_ports(2, task());
  port(0).after_step = [&](std::uint64_t step) {
    if (step == 7) port(0).passing = 2;  // however many asked: it is new enough for all of them
  };
  run_well();
  EXPECT_EQ(port().sent_steps(), (Steps{7, 12}));
  EXPECT_EQ(port(1).last_step(), 12U);
}

TEST_F(TrainTaskTest, AnErrorOfOneInPassingIsToldAndNoEnd) {
  task_.set_checkpoint_every_steps(4);
  make_ports(1, task());
  port().answers_only_who_waits = true;
  port().errors = {"the disk is full"};
  run_well();
  EXPECT_EQ(port().sent_steps(), (Steps{4, 12}));
  EXPECT_TRUE(port().said("checkpoint was not kept: the disk is full"));
  EXPECT_TRUE(job_folder_is_empty());
}

TEST_F(TrainTaskTest, TheLastIsTriedTwice) {
  make_ports(2, task());
  port().errors = {"the disk is full"};
  run_well();
  EXPECT_EQ(port().sent_steps(), (Steps{12, 12}));

  make_ports(2, task());
  port().errors = {"the disk is full", "the disk is still full"};
  const std::vector<Status> ends = run();
  EXPECT_EQ(ends[0].code, Code::kAborted);
  EXPECT_EQ(ends[0].message,
            "The last checkpoint, of step 12, was not kept: the disk is still full");
  EXPECT_FALSE(ends[1].ok());
}

TEST_F(TrainTaskTest, AFolderThatCannotBeWrittenEndsNoTrainingBeforeItsLast) {
  task_.set_checkpoint_every_steps(4);
  task_.set_job_directory((folder_ / "nowhere").string());
  make_ports(1, task());
  const std::vector<Status> ends = run();
  EXPECT_EQ(port().losses().size(), 12U);
  EXPECT_TRUE(port().sent.empty());
  EXPECT_NE(ends[0].message.find("of step 12, was not kept: cannot make"), std::string::npos)
      << ends[0].message;
}

TEST_F(TrainTaskTest, ANumberThatIsNoneFailsAllRanksWithStepAndTensor) {
  spec_.mutable_optimizer()->mutable_sgd()->set_learning_rate(1e30);
  task_.set_checkpoint_every_steps(1);
  make_ports(2, task());
  for (const Status& end : run()) {
    EXPECT_EQ(end.code, Code::kOutOfRange);
    EXPECT_NE(end.message.find("Step 2: the loss is nan"), std::string::npos) << end.message;
    ASSERT_FALSE(end.field.empty());
    EXPECT_NE(end.message.find(end.field), std::string::npos);
  }
}

TEST_F(TrainTaskTest, WorkIsKnownByItsSpecification) {
  EXPECT_TRUE(make_rank_task(task()).has_value());
  v1::RankTask other;
  EXPECT_EQ(make_rank_task(other).error().code, Code::kUnimplemented);
  other.mutable_self_test();
  EXPECT_TRUE(make_rank_task(other).has_value());
}

}  // namespace
}  // namespace overwinter::worker
