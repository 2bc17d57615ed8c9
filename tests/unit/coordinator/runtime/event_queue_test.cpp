#include "coordinator/runtime/event_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace overwinter::runtime {
namespace {

using core::LoopStalled;
using core::TimerFired;

std::vector<core::Event> drain_now(EventQueue& queue, std::size_t max = 1000) {
  std::vector<core::Event> out;
  queue.drain(std::chrono::steady_clock::now(), max, out);
  return out;
}

TEST(EventQueueTest, VitalEventsComeFirstAndEachLaneKeepsItsOrder) {
  EventQueue queue({});
  ASSERT_TRUE(queue.post(LoopStalled{Duration(1)}).ok());
  ASSERT_TRUE(queue.post(LoopStalled{Duration(2)}).ok());
  ASSERT_TRUE(queue.post_vital(TimerFired{}));
  const auto out = drain_now(queue);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_TRUE(std::holds_alternative<TimerFired>(out[0]));
  EXPECT_EQ(std::get<LoopStalled>(out[1]).duration, Duration(1));
  EXPECT_EQ(std::get<LoopStalled>(out[2]).duration, Duration(2));
}

TEST(EventQueueTest, AFullLaneRefusesAndVitalEventsAreStillTaken) {
  EventQueue queue({.refusable_max = 2, .vital_crowded = 1});
  EXPECT_TRUE(queue.post(TimerFired{}).ok());
  EXPECT_TRUE(queue.post(TimerFired{}).ok());
  EXPECT_EQ(queue.post(TimerFired{}).code, Code::kResourceExhausted);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(queue.post_vital(TimerFired{}));
  EXPECT_EQ(queue.size(), 12U);
}

TEST(EventQueueTest, StreamsReadOnWhenThereIsRoomAgain) {
  EventQueue queue({.refusable_max = 2, .vital_crowded = 2});
  int resumed = 0;
  queue.when_room([&] { ++resumed; });
  EXPECT_EQ(resumed, 1) << "there is room";
  queue.post_vital(TimerFired{});
  queue.post_vital(TimerFired{});
  EXPECT_TRUE(queue.crowded());
  queue.when_room([&] { ++resumed; });
  EXPECT_EQ(resumed, 1) << "it must wait";
  EXPECT_EQ(drain_now(queue, 1).size(), 1U);
  EXPECT_EQ(resumed, 2);
}

TEST(EventQueueTest, ClosingWakesTheLoopAndLetsNobodyWait) {
  EventQueue queue({.refusable_max = 2, .vital_crowded = 1});
  queue.post_vital(TimerFired{});
  bool resumed = false;
  queue.when_room([&] { resumed = true; });
  std::thread closer([&] { queue.close(); });
  std::vector<core::Event> out;
  queue.drain(std::nullopt, 10, out);
  closer.join();
  EXPECT_TRUE(resumed);
  EXPECT_EQ(queue.post(TimerFired{}).code, Code::kUnavailable);
  EXPECT_FALSE(queue.post_vital(TimerFired{}));
}

TEST(EventQueueTest, WakeEndsAWaitWithoutEvents) {
  EventQueue queue({});
  queue.wake();
  std::vector<core::Event> out;
  queue.drain(std::nullopt, 10, out);  // would wait without end
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace overwinter::runtime
