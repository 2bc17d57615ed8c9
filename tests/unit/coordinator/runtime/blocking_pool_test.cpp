#include "coordinator/runtime/blocking_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace overwinter::runtime {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

TEST(BlockingPoolTest, AFullKindWaitsForItsPlaceAndOthersGoOn) {
  BlockingPool pool({});
  std::promise<void> hold;
  std::promise<void> begun;
  std::promise<void> second;
  std::promise<void> tile;
  std::atomic<bool> ended{false};
  ASSERT_TRUE(pool.run(Work::kPlan,
                       [&] {
                         begun.set_value();
                         hold.get_future().wait();
                         ended = true;
                       })
                  .ok());
  begun.get_future().wait();
  // One plan at once: this one waits, though a thread is free.
  ASSERT_TRUE(pool.run(Work::kPlan,
                       [&] {
                         EXPECT_TRUE(ended);
                         second.set_value();
                       })
                  .ok());
  pool.run_vital(Work::kTile, [&] { tile.set_value(); });
  ASSERT_EQ(tile.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(pool.waiting(), 1U);
  hold.set_value();
  ASSERT_EQ(second.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(BlockingPoolTest, EveryTaskOfManyKindsRunsThoughThreadsSleepInBetween) {
  BlockingPool pool({});
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> left{10};
    std::promise<void> done;
    for (int i = 0; i < 10; ++i) {
      pool.run_vital(static_cast<Work>(i % kWorkKinds), [&] {
        if (--left == 0) done.set_value();
      });
    }
    ASSERT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
  }
}

TEST(BlockingPoolTest, AFullQueueRefusesAndAfterStopNothingIsTaken) {
  BlockingPoolConfig config;
  config.threads = 1;
  config.waiting_max[static_cast<std::size_t>(Work::kRead)] = 1;
  BlockingPool pool(config);
  std::promise<void> hold;
  std::promise<void> begun;
  pool.run_vital(Work::kTile, [&] {
    begun.set_value();
    hold.get_future().wait();
  });
  begun.get_future().wait();
  EXPECT_TRUE(pool.run(Work::kRead, [] {}).ok());
  EXPECT_EQ(pool.run(Work::kRead, [] {}).code, Code::kResourceExhausted);
  hold.set_value();
  pool.stop();
  EXPECT_EQ(pool.run(Work::kRead, [] {}).code, Code::kUnavailable);
}

}  // namespace
}  // namespace overwinter::runtime
