#include "coordinator/telemetry/log_queue.h"

#include <gtest/gtest.h>

namespace overwinter::telemetry {
namespace {

JobKey job(std::uint64_t id) {
  return {"p", JobId(id)};
}
JobBatch lines(std::uint64_t id, int count, std::size_t bytes = 100, std::uint32_t rank = 0) {
  JobBatch batch{.job = job(id), .entries = {}, .points = {}};
  for (int i = 0; i < count; ++i)
    batch.entries.push_back(
        {.attempt = 1, .rank = rank, .time = {}, .text = std::string(bytes, 'x')});
  return batch;
}

TEST(LogQueue, EachJobInItsTurn) {
  LogQueue queue(64 << 20);
  for (int i = 0; i < 4; ++i) queue.push(lines(1, 10'000));
  queue.push(lines(2, 1));
  JobBatch batch;
  ASSERT_TRUE(queue.pop(batch));
  EXPECT_EQ(batch.job, job(1));
  EXPECT_LT(batch.entries.size(), 40'000u);
  ASSERT_TRUE(queue.pop(batch));
  EXPECT_EQ(batch.job, job(2));
  ASSERT_TRUE(queue.pop(batch));
  EXPECT_EQ(batch.job, job(1));
  queue.close();
  while (queue.pop(batch)) {
  }
  EXPECT_EQ(queue.bytes(), 0u);
  queue.push(lines(1, 1));
  EXPECT_FALSE(queue.pop(batch));
}

TEST(LogQueue, TheLoudestLosesItsOldestAndItIsCounted) {
  LogQueue queue(1 << 20);
  queue.push(lines(2, 100));
  queue.push(lines(1, 50, 100, 0));  // its first words, which go last
  for (int i = 0; i < 100; ++i) queue.push(lines(1, 1000, 100, 1));
  EXPECT_LE(queue.bytes(), std::size_t{1} << 20);
  std::map<std::uint64_t, std::uint64_t> kept, lost, lost_bytes;
  queue.close();
  for (JobBatch batch; queue.pop(batch);) {
    for (const LogEntry& entry : batch.entries) {
      const std::uint64_t id = batch.job.job.value() * 10 + entry.rank;
      if (entry.is_gap()) {
        lost[id] += entry.lines_lost;
        lost_bytes[id] += entry.bytes_lost;
      } else {
        ++kept[id];
      }
    }
  }
  EXPECT_EQ(kept[20], 100u);
  EXPECT_EQ(lost[20], 0u);
  EXPECT_EQ(kept[11] + lost[11], 100'000u);
  EXPECT_GT(kept[11], 0u);
  EXPECT_EQ(kept[10], 50u);
  EXPECT_EQ(lost_bytes[11], 100 * lost[11]);
  EXPECT_EQ(queue.lost(), lost[11]);
}

TEST(LogQueue, PointsAreBoundedToo) {
  LogQueue queue(1 << 16);
  for (int i = 0; i < 10'000; ++i)
    queue.push({.job = job(1), .entries = {}, .points = {{.name = "loss", .time = {}}}});
  EXPECT_LE(queue.bytes(), std::size_t{1} << 16);
  EXPECT_GT(queue.lost(), 8000u);
}

TEST(LogQueue, AnEndlessLineTakesNoMoreThanItKeeps) {
  LogQueue queue(1 << 20);
  queue.push(lines(1, 1, 64 << 20));
  EXPECT_LT(queue.bytes(), 3 * kLineBytesMax);
}

}  // namespace
}  // namespace overwinter::telemetry
