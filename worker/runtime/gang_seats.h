// GangSeats: the seats of gangs that a daemon holds, attempt by attempt. What WorkerLoop asks for
// them; the launcher's events on their way back.
#pragma once

#include <map>
#include <memory>

#include "common/base/mutex.h"
#include "worker/core/output.h"
#include "worker/runtime/gang_attempt.h"
#include "worker/runtime/gang_launcher.h"

namespace overwinter::worker {

// Calls return at once, from one thread; answers go by parts.post.
class GangSeats final : public GangObserver {
 public:
  // Its launcher is made of places, programs and peers; `make` is given it with each work.
  using Make = std::function<Result<std::shared_ptr<GangWork>>(
      GangLauncher& launcher, const GangKey& key, const OfferSeat& offer,
      GangWorkObserver& observer)>;
  struct Parts {
    WorkerId worker;  // this one
    ComputePool* devices = nullptr;
    PostInput post;
    Make make;
  };
  GangSeats(Parts parts, GangPlaces places, GangPrograms programs, PeerLaunches& peers);
  ~GangSeats() override;  // ends all gangs here and waits
  GangSeats(const GangSeats&) = delete;
  GangSeats& operator=(const GangSeats&) = delete;

  void begin(const OfferSeat& offer);
  void launch(const LaunchGang& order);
  void wind_down(const SeatKey& seat);
  void kill(const SeatKey& seat);
  void renew(const SeatKey& seat, const std::string& capability);
  void end(const SeatKey& seat);

  // For the peers' port.
  [[nodiscard]] GangLauncher& launcher() { return *launcher_; }

 private:
  void gang_event(const GangKey& gang, const GangEvent& event) override;
  [[nodiscard]] std::shared_ptr<GangAttempt> find(const SeatKey& seat);
  void drop_finished();

  GangAttemptParts parts_;
  Mutex mutex_;
  std::map<GangKey, std::shared_ptr<GangAttempt>> attempts_ OW_GUARDED_BY(mutex_);
  std::unique_ptr<GangLauncher> launcher_;  // ends first: its events need the rest
};

}  // namespace overwinter::worker
