#include "client/cli/resource_text.h"

#include <gtest/gtest.h>

namespace overwinter::cli {
namespace {

TEST(ResourceText, ADeviceShowsWhatIsUsedReservedAndThere) {
  v1::Worker worker;
  for (const char* kind : {"cpu", "H100"}) {
    v1::Device& device = *worker.add_devices();
    device.set_kind(kind);
    device.set_memory_bytes(std::uint64_t{4} << 30);
    device.set_threads(8);
  }
  v1::DeviceUse& use = *worker.add_uses();  // of the second nothing is known yet
  use.set_memory_used_bytes(std::uint64_t{1} << 30);
  use.set_memory_reserved_bytes(std::uint64_t{2} << 30);
  use.set_threads_reserved(3);
  use.set_seats(1);
  EXPECT_EQ(devices_text(worker), "cpu 1.0 GiB/2.0 GiB/4.0 GiB 8t, H100 0 B/0 B/4.0 GiB 8t");
  EXPECT_EQ(device_use_text(worker.devices(0), use),
            "1.0 GiB used, 2.0 GiB of 4.0 GiB reserved, 3 of 8 threads, 1 seat");
}

v1::Job last_moved_at(std::int64_t seconds, std::int64_t every) {
  v1::Job job;
  job.mutable_progress()->mutable_update_time()->set_seconds(seconds);
  job.mutable_progress()->mutable_update_interval()->set_seconds(every);
  return job;
}

TEST(ResourceText, AJobThatStandsStillForLongerThanItsWaySaysSo) {
  const Time now = time_from_unix_ms(1'000'000);  // second 1,000
  EXPECT_EQ(no_progress_text(last_moved_at(760, 20), now),
            "no progress for 4m 0s (usually every 20.0s)");
  EXPECT_EQ(no_progress_text(last_moved_at(930, 20), now),
            "no progress for 1m 10s (usually every 20.0s)");
}

TEST(ResourceText, APauseThatIsUsualOrShortIsNoNews) {
  const Time now = time_from_unix_ms(1'000'000);
  EXPECT_EQ(no_progress_text(last_moved_at(760, 80), now), "") << "three times its interval";
  EXPECT_EQ(no_progress_text(last_moved_at(940, 1), now), "") << "a minute";
  EXPECT_EQ(no_progress_text(last_moved_at(2'000, 1), now), "") << "a clock behind";
  v1::Job unknown = last_moved_at(0, 1);
  unknown.mutable_progress()->clear_update_interval();
  EXPECT_EQ(no_progress_text(unknown, now), "");
  EXPECT_EQ(no_progress_text(v1::Job(), now), "");
}

}  // namespace
}  // namespace overwinter::cli
