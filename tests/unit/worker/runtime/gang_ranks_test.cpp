#include "worker/runtime/gang_ranks.h"

#include <gtest/gtest.h>

namespace overwinter::worker {
namespace {

// The second host of three, with ranks 1 and 2.
GangOrder an_order() {
  GangOrder order;
  order.hosts = {{"192.0.2.1", "", WorkerId(1), 1, ""},
                 {"192.0.2.2", "", WorkerId(2), 2, ""},
                 {"192.0.2.3", "", WorkerId(3), 1, ""}};
  order.self = 1;
  order.deadlines.start = Duration(30'000);
  order.deadlines.life = Duration(10'000);
  order.deadlines.progress = Duration(60'000);
  return order;
}

class GangRanksTest : public testing::Test {
 protected:
  Status hello(std::uint32_t rank, pid_t said, pid_t real, std::uint32_t world = 4) {
    v1::RankHello hello;
    hello.set_rank(rank);
    hello.set_world_size(world);
    hello.set_pid(said);
    return ranks_.hello(hello, {real, 0}, rank + 100, now_);
  }
  void both_ready() {
    ASSERT_TRUE(hello(1, 11, 11).ok());
    ASSERT_TRUE(hello(2, 12, 12).ok());
    for (auto& [number, rank] : ranks_.all()) {
      rank.ready = true;
      rank.life = rank.moved = now_;
    }
  }
  bool step(std::uint32_t rank, std::uint64_t step) {
    v1::RankProgress progress;
    progress.set_step(step);
    return GangRanks::note_progress(ranks_.all().at(rank), progress, now_);
  }
  void pass(int seconds) { now_ += std::chrono::seconds(seconds); }

  SteadyTime now_ = SteadyTime() + std::chrono::hours(1);
  const GangOrder order_ = an_order();
  GangRanks ranks_{order_, now_};
};

TEST_F(GangRanksTest, only_this_hosts_ranks_and_each_once) {
  EXPECT_TRUE(hello(1, 11, 11).ok());
  EXPECT_EQ(hello(1, 13, 13).code, Code::kPermissionDenied);  // there already
  EXPECT_EQ(hello(0, 14, 14).code, Code::kPermissionDenied);  // another host's
  EXPECT_EQ(hello(3, 14, 14).code, Code::kPermissionDenied);
  EXPECT_EQ(hello(2, 14, 15).code, Code::kPermissionDenied);     // the kernel says another pid
  EXPECT_EQ(hello(2, 14, 14, 5).code, Code::kPermissionDenied);  // another gang's size
  EXPECT_EQ(ranks_.number_of(101), 1U);
  EXPECT_EQ(ranks_.of(102), nullptr);
}

TEST_F(GangRanksTest, who_is_not_ready_in_time_is_named_with_what_it_waits_for) {
  ASSERT_TRUE(hello(1, 11, 11).ok());
  ranks_.all().at(1).ready = true;
  pass(29);
  step(1, 1);
  EXPECT_FALSE(ranks_.overdue(now_));
  pass(1);
  auto fault = ranks_.overdue(now_);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, GangFaultKind::kNotReady);
  EXPECT_EQ(fault->rank, 2U);
  EXPECT_NE(fault->message.find("has not been started"), std::string::npos) << fault->message;
  ASSERT_TRUE(hello(2, 12, 12).ok());
  v1::RankProgress progress;
  progress.set_phase("waits for rank 3");
  GangRanks::note_progress(ranks_.all().at(2), progress, now_);
  fault = ranks_.overdue(now_);
  ASSERT_TRUE(fault);
  EXPECT_NE(fault->message.find("it waits for rank 3"), std::string::npos) << fault->message;
}

TEST_F(GangRanksTest, the_frozen_one_is_named_and_not_the_one_that_waits_for_it) {
  both_ready();
  step(1, 7);
  step(2, 7);
  for (int i = 0; i < 9; ++i) {
    pass(1);
    step(1, 7);  // lives, but cannot go on
    EXPECT_FALSE(ranks_.overdue(now_));
  }
  pass(1);
  step(1, 7);
  const auto fault = ranks_.overdue(now_);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, GangFaultKind::kRankFrozen);
  EXPECT_EQ(fault->rank, 2U);
  EXPECT_EQ(fault->step, 7U);
}

TEST_F(GangRanksTest, of_living_ranks_that_do_nothing_new_the_one_behind_is_named) {
  both_ready();
  step(1, 8);
  step(2, 7);
  for (int i = 0; i < 60; ++i) {
    EXPECT_FALSE(ranks_.overdue(now_)) << i;
    pass(1);
    EXPECT_FALSE(step(1, 8));
    EXPECT_FALSE(step(2, 7));
  }
  const auto fault = ranks_.overdue(now_);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, GangFaultKind::kStalled);
  EXPECT_EQ(fault->rank, 2U);
}

TEST_F(GangRanksTest, what_this_process_slept_through_is_forgiven) {
  both_ready();
  pass(3600);
  ranks_.forgive(std::chrono::hours(1));
  EXPECT_FALSE(ranks_.overdue(now_));
}

TEST_F(GangRanksTest, ranks_that_are_done_have_no_deadline) {
  both_ready();
  for (auto& [number, rank] : ranks_.all()) rank.ended = rank.clean = true;
  pass(7200);
  EXPECT_FALSE(ranks_.overdue(now_));
  EXPECT_TRUE(ranks_.all_clean());
}

TEST_F(GangRanksTest, a_larger_peak_of_memory_is_news_without_a_step) {
  both_ready();
  v1::RankProgress used;
  used.set_memory_peak_bytes(5);
  EXPECT_TRUE(GangRanks::note_progress(ranks_.all().at(1), used, now_));
  EXPECT_FALSE(GangRanks::note_progress(ranks_.all().at(1), used, now_));
}

TEST_F(GangRanksTest, another_use_of_memory_is_news_but_no_progress) {
  both_ready();
  GangRank& rank = ranks_.all().at(1);
  const SteadyTime before = rank.moved;
  v1::RankProgress used;
  for (const std::uint64_t bytes : {7U, 3U}) {
    pass(1);
    used.set_memory_used_bytes(bytes);
    EXPECT_TRUE(GangRanks::note_progress(rank, used, now_)) << bytes;
    EXPECT_FALSE(GangRanks::note_progress(rank, used, now_)) << bytes;
  }
  EXPECT_EQ(rank.moved, before);
  EXPECT_EQ(rank.life, now_);
}

}  // namespace
}  // namespace overwinter::worker
