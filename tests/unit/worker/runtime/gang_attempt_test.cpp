#include "worker/runtime/gang_attempt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

namespace overwinter::worker {
namespace {

using namespace std::chrono_literals;

const SeatKey kSeat{JobId(7), 1, 1};

// Work that does nothing; the test speaks for it.
class SilentWork final : public GangWork {
 public:
  Status prepare(const OfferSeat&, const std::stop_token&) override { return Status::success(); }
  Status start(const LaunchGang&, const std::vector<RankSeat>&) override {
    return Status::success();
  }
  void wind_down() override {}
  void kill() override {}
};

class GangAttemptTest : public testing::Test {
 protected:
  GangAttemptTest() {
    devices_.push_back(make_cpu_device(256U << 20, 1, 0));
    GangAttemptParts parts;
    parts.worker = WorkerId(1);
    parts.devices = &devices_;
    parts.make_work = [this](const GangKey&, const OfferSeat&, GangWorkObserver& observer) {
      observer_ = &observer;
      return Result<std::shared_ptr<GangWork>>(std::make_shared<SilentWork>());
    };
    parts.post = [this](Input input) {
      const MutexLock lock(mutex_);
      said_.push_back(std::move(input));
      changed_.notify_all();
    };
    attempt_.emplace(GangKey{JobId(7), 1}, parts);
    OfferSeat offer;
    offer.seat = kSeat;
    offer.gang = true;
    attempt_->begin(offer);
    EXPECT_EQ(wait<SeatReady>().size(), 1U);
    GangMember member;
    member.seat = kSeat;
    member.worker = WorkerId(1);
    attempt_->launch({kSeat, {member}, "token"});
  }
  // All of that kind so far, once there is one.
  template <class T>
  std::vector<T> wait() {
    std::vector<T> found;
    const auto until = std::chrono::steady_clock::now() + 10s;
    const MutexLock lock(mutex_);
    for (;;) {
      for (const Input& input : said_)
        if (const T* t = std::get_if<T>(&input)) found.push_back(*t);
      if (!found.empty()) return found;
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) return found;
    }
  }
  template <class T>
  std::size_t count() {
    const MutexLock lock(mutex_);
    return static_cast<std::size_t>(std::count_if(
        said_.begin(), said_.end(), [](const Input& i) { return std::holds_alternative<T>(i); }));
  }

  Mutex mutex_;
  Condition changed_;
  std::vector<Input> said_ OW_GUARDED_BY(mutex_);
  ComputePool devices_;
  GangWorkObserver* observer_ = nullptr;
  std::optional<GangAttempt> attempt_;
};

TEST_F(GangAttemptTest, WhatIsMeasuredIsToldAndIsNoSignOfProgress) {
  observer_->measured(0, {70, 90});
  observer_->measured(0, {30, 80});
  observer_->measured(5, {1000, 1000});  // of no seat here
  const auto told = wait<SeatMeasured>();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].memory_used_bytes, 70U);
  EXPECT_EQ(told[1].memory_used_bytes, 30U);
  EXPECT_EQ(told[1].memory_peak_bytes, 90U);
  EXPECT_EQ(count<SeatProgressed>(), 0U);
  attempt_->end(kSeat);
  EXPECT_EQ(wait<SeatClosed>().at(0).memory_peak_bytes, 90U);
}

TEST_F(GangAttemptTest, AMoveSaysNothingOfMemory) {
  observer_->moved(0, 4);
  observer_->moved(0, 4);
  const auto told = wait<SeatProgressed>();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].step, 4U);
  EXPECT_GT(told[1].activity, told[0].activity);
  EXPECT_EQ(count<SeatMeasured>(), 0U);
}

}  // namespace
}  // namespace overwinter::worker
