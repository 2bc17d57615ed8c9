#include "worker/app/pulse.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class PulseTest : public testing::Test {
 protected:
  PulseTest() { fs::create_directory(folder_); }
  ~PulseTest() override { fs::remove_all(folder_); }

  const fs::path folder_ = fs::temp_directory_path() / ("pulse_" + std::to_string(::getpid()));
};

TEST_F(PulseTest, BeatsWhileItIsConnectedAndIsMissedAfterwards) {
  const auto now = fs::file_time_type::clock::now();
  EXPECT_EQ(connected_lately(folder_, now).code, Code::kNotFound);
  {
    std::atomic<int> asked = 0;
    const Pulse pulse(folder_, [&asked] {
      ++asked;
      asked.notify_all();
      return true;
    });
    asked.wait(0);
  }
  const auto beat = fs::last_write_time(folder_ / "pulse");
  EXPECT_TRUE(connected_lately(folder_, beat + seconds(20)).ok());
  const Status missed = connected_lately(folder_, beat + seconds(45));
  EXPECT_EQ(missed.code, Code::kFailedPrecondition);
  EXPECT_EQ(missed.message, "not connected to its coordinator for 45 s");
}

TEST_F(PulseTest, DoesNotBeatWithoutAConnection) {
  std::atomic<int> asked = 0;
  {
    const Pulse pulse(folder_, [&asked] {
      ++asked;
      asked.notify_all();
      return false;
    });
    asked.wait(0);
  }
  EXPECT_EQ(connected_lately(folder_, fs::file_time_type::clock::now()).code, Code::kNotFound);
}

}  // namespace
}  // namespace overwinter::worker
