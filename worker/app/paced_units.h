// For tests alone (OVERWINTER_TEST_SWITCHES): units that do nothing, told of one by one at a steady
// rate, so that a job changes so many times a second whatever else the machine does.
#pragma once

#ifdef OVERWINTER_TEST_SWITCHES

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "common/base/mutex.h"
#include "overwinter/v1/job.pb.h"
#include "worker/runtime/seat_work.h"

namespace overwinter::worker {

class PacedUnits final : public SeatWork {
 public:
  PacedUnits(SeatKey seat, std::uint64_t per_second, PostInput post)
      : seat_(seat),
        every_(std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second),
        post_(std::move(post)),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}

  std::uint32_t pipeline_units() const override { return 64; }
  void start(const UnitRanges& units) override {
    const MutexLock lock(mutex_);
    waiting_.add(units);
  }
  void abandon(const UnitRanges& units) override {
    UnitRanges given_up;
    {
      const MutexLock lock(mutex_);
      for (const UnitRange& range : units.ranges())
        given_up.add(waiting_.intersection(UnitRanges(range)));
      waiting_.remove(given_up);
    }
    if (!given_up.empty()) post_(UnitsAbandoned{seat_, given_up});
  }
  void wind_down(Duration) override {
    UnitRanges all;
    {
      const MutexLock lock(mutex_);
      all = std::exchange(waiting_, {});
    }
    if (!all.empty()) post_(UnitsAbandoned{seat_, all});
  }
  void renew(const std::string&) override {}
  std::uint64_t memory_used_bytes() const override { return 0; }
  std::uint64_t memory_peak_bytes() const override { return 0; }

 private:
  void run(const std::stop_token& stop) {
    auto due = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
      due += every_;
      std::this_thread::sleep_until(due);
      UnitRanges done;
      {
        const MutexLock lock(mutex_);
        done = waiting_.take_front(1);
      }
      if (!done.empty()) post_(UnitsCompleted{seat_, done});
    }
  }

  const SeatKey seat_;
  const std::chrono::nanoseconds every_;
  const PostInput post_;
  Mutex mutex_;
  UnitRanges waiting_ OW_GUARDED_BY(mutex_);
  std::jthread thread_;  // ends first
};

// For WorkerLoopParts::make_work: units that do nothing at that rate, all other work as it is.
inline auto paced(std::uint64_t per_second) {
  return [per_second](const OfferSeat& offer, Device& device, ArtifactAccess& artifacts,
                      PostInput post) -> Result<std::unique_ptr<SeatWork>> {
    v1::Plan plan;
    const bool nothing = offer.plan && plan.ParseFromString(*offer.plan) && plan.has_noop();
    if (!nothing) return make_seat_work(offer, device, artifacts, std::move(post));
    return std::make_unique<PacedUnits>(offer.seat, per_second, std::move(post));
  };
}

}  // namespace overwinter::worker

#endif
