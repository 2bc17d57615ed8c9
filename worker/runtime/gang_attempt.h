// GangAttempt: what one worker has of one attempt of a gang: its seats, their memory, and the work
// that they are for.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "worker/core/input.h"
#include "worker/memory/limiting_resource.h"
#include "worker/runtime/device.h"
#include "worker/runtime/gang_work.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

// The work that a job's specification asks for. UNIMPLEMENTED, INVALID_ARGUMENT: there is none.
using MakeGangWork = std::function<Result<std::shared_ptr<GangWork>>(
    const GangKey& key, const OfferSeat& offer, GangWorkObserver& observer)>;

struct GangAttemptParts {
  WorkerId worker;  // this one
  ComputePool* devices = nullptr;
  MakeGangWork make_work;
  PostInput post;
};

// Calls return at once, from any thread; what takes time happens on the attempt's own thread, in
// order.
class GangAttempt final : private GangWorkObserver {
 public:
  GangAttempt(GangKey key, const GangAttemptParts& parts);
  ~GangAttempt() override;  // gives up what is being prepared, ends the work, and waits
  GangAttempt(const GangAttempt&) = delete;
  GangAttempt& operator=(const GangAttempt&) = delete;

  void begin(const OfferSeat& offer);
  void launch(const LaunchGang& order);
  void wind_down();
  void kill(const SeatKey& seat);
  void renew(const SeatKey& seat, const std::string& capability);
  void end(const SeatKey& seat);
  void heard(const GangEvent& event);  // of the launcher
  // Every seat has been ended.
  [[nodiscard]] bool finished() const;

 private:
  struct Seat {
    OfferSeat offer;
    LimitingResource::Charge memory;
    std::optional<std::uint32_t> rank;
    bool launched = false;
    bool exited = false;
    std::uint64_t step = 0;
    std::uint64_t activity = 0;
    std::uint64_t memory_peak_bytes = 0;
  };

  void post(std::function<void()> what);
  void run(const std::stop_token& stop);
  void prepare(const SeatKey& key);
  Status prepare_work(const OfferSeat& offer);
  Status start(const LaunchGang& order);
  [[nodiscard]] std::shared_ptr<GangWork> work() const;

  // GangWorkObserver
  void preparing() override;
  void up(std::uint32_t rank) override;
  void moved(std::uint32_t rank, std::uint64_t step) override;
  void measured(std::uint32_t rank, const MemoryUse& use) override;
  void unreachable(WorkerId worker, const std::string& why) override;
  void over(const GangSeatExited& how) override;
  [[nodiscard]] CheckpointAccess access() const override;

  const GangKey key_;
  const GangAttemptParts parts_;
  bool prepared_ = false;  // of the attempt's thread

  std::stop_source preparing_;
  mutable Mutex mutex_;
  Condition arrived_;
  std::deque<std::function<void()>> queue_ OW_GUARDED_BY(mutex_);
  std::map<SeatKey, Seat> seats_ OW_GUARDED_BY(mutex_);
  std::shared_ptr<GangWork> work_ OW_GUARDED_BY(mutex_);
  std::string capability_ OW_GUARDED_BY(mutex_);
  bool started_ OW_GUARDED_BY(mutex_) = false;
  std::optional<GangSeatExited> over_ OW_GUARDED_BY(mutex_);  // how it went, without a seat
  std::jthread thread_;                                       // last: it uses the rest
};

}  // namespace overwinter::worker
