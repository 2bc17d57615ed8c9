// GangTry: what one worker has of one try of a gang: its seats, their memory, the files that their
// ranks read, and the checkpoints on their way.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/base/mutex.h"
#include "overwinter/v1/job.pb.h"
#include "worker/core/input.h"
#include "worker/memory/limiting_resource.h"
#include "worker/runtime/checkpoint_port.h"
#include "worker/runtime/device.h"
#include "worker/runtime/gang_launcher.h"
#include "worker/runtime/gang_members.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

struct GangTryParts {
  GangPlaces places;
  WorkerId worker;      // this one
  std::string network;  // of this machine's peer address; empty: it has none
  ComputePool* devices = nullptr;
  JobFiles* files = nullptr;
  CheckpointPort* checkpoints = nullptr;
  JobLog* log = nullptr;
  GangLauncher* launcher = nullptr;
  PostInput post;
};

// Calls return at once, from any thread; what takes time happens on the try's own thread, in order.
class GangTry {
 public:
  GangTry(GangKey key, const GangTryParts& parts);
  ~GangTry();  // gives up what is being prepared or sent, and waits; the launcher must have ended
               // it
  GangTry(const GangTry&) = delete;
  GangTry& operator=(const GangTry&) = delete;

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
    bool ready = false;
    bool launched = false;
    bool exited = false;
    std::uint64_t step = 0;
    std::uint64_t activity = 0;
    std::uint64_t memory_peak_bytes = 0;
  };

  void post(std::function<void()> what);
  void run(const std::stop_token& stop);
  void prepare(const SeatKey& key);
  Status fetch_inputs(const OfferSeat& offer);
  Status fetch_checkpoint(const OfferSeat& offer);
  void add_file(const std::string& name, v1::LocalFile& into) const;
  Status start(const LaunchGang& order);
  void store(std::uint32_t rank, const v1::RankCheckpoint& checkpoint);
  void over(const GangSeatExited& how);
  void progressed(std::uint32_t rank, const v1::RankProgress& progress);
  void ended(const GangEnded& ended);
  void tell_points(const v1::RankProgress& progress);
  [[nodiscard]] CheckpointAccess access() const;
  [[nodiscard]] Seat* seat_of(std::uint32_t rank) OW_REQUIRES(mutex_);

  const GangKey key_;
  const GangTryParts parts_;
  // Of the try's thread.
  std::optional<GangFolder> folder_;
  v1::JobSpec spec_;
  v1::RankTask task_;  // what all ranks have in common
  bool fetched_ = false;

  std::stop_source preparing_;
  mutable Mutex mutex_;
  Condition arrived_;
  std::deque<std::function<void()>> queue_ OW_GUARDED_BY(mutex_);
  std::map<SeatKey, Seat> seats_ OW_GUARDED_BY(mutex_);
  std::string capability_ OW_GUARDED_BY(mutex_);
  bool any_ OW_GUARDED_BY(mutex_) = false;
  bool started_ OW_GUARDED_BY(mutex_) = false;
  bool stop_asked_ OW_GUARDED_BY(mutex_) = false;
  std::vector<GangHost> hosts_ OW_GUARDED_BY(mutex_);
  std::optional<GangSeatExited> over_ OW_GUARDED_BY(mutex_);  // how it went, without a seat
  std::jthread thread_;                                       // last: it uses the rest
};

}  // namespace overwinter::worker
