#include "worker/gpus/gpu_count.h"

#include <gtest/gtest.h>

namespace overwinter::worker::gpus {
namespace {

GpuUse a_use(std::uint64_t used, std::vector<GpuProcess> processes) {
  return {used, std::move(processes)};
}

TEST(GpuCount, ItsProcessesCountAndOthersDoNot) {
  const GpuCount count =
      count_use(a_use(1000, {{11, 300}, {12, 40}, {99, 500}}), {10, 11, 12}, 7, true);
  EXPECT_EQ(count.bytes, 340U);
  EXPECT_EQ(count.by, CountedBy::kProcesses);
}

TEST(GpuCount, OneThatIsListedTwiceCountsOnce) {
  EXPECT_EQ(count_use(a_use(1000, {{11, 300}, {11, 300}}), {11}, 0, true).bytes, 300U);
}

TEST(GpuCount, WhoIsNotListedUsesNothing) {
  const GpuCount count = count_use(a_use(1000, {{99, 500}}), {11}, 7, true);
  EXPECT_EQ(count.bytes, 0U);
  EXPECT_EQ(count.by, CountedBy::kProcesses);
  EXPECT_EQ(count_use(a_use(1000, {}), {11}, 7, true).bytes, 0U);
}

TEST(GpuCount, WhereNumbersAreOthersTheWholeDeviceCounts) {
  const GpuCount host_numbers = count_use(a_use(1000, {{54321, 500}}), {11}, 7, false);
  EXPECT_EQ(host_numbers.bytes, 993U);
  EXPECT_EQ(host_numbers.by, CountedBy::kDevice);
  const GpuCount nothing = count_use(a_use(1000, {}), {11}, 7, false);
  EXPECT_EQ(nothing.bytes, 993U);
  EXPECT_EQ(count_use(a_use(5, {}), {11}, 7, false).bytes, 0U) << "less than before";
  // A driver that translates the numbers for this container.
  EXPECT_EQ(count_use(a_use(1000, {{11, 500}}), {11}, 7, false).by, CountedBy::kProcesses);
}

TEST(GpuCount, AProcessWithoutASizeMakesTheWholeDeviceCount) {
  const GpuCount count = count_use(a_use(1000, {{11, std::nullopt}, {12, 40}}), {11, 12}, 7, true);
  EXPECT_EQ(count.bytes, 993U);
  EXPECT_EQ(count.by, CountedBy::kDevice);
}

}  // namespace
}  // namespace overwinter::worker::gpus
