// WorkerLoop: the one thread that drives worker/core. Inputs come by a queue, outputs go to
// executors, to the stream and into the records.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "worker/core/worker_core.h"
#include "worker/runtime/device.h"
#include "worker/runtime/gang_seats.h"
#include "worker/runtime/ports.h"
#include "worker/runtime/seat_work.h"
#include "worker/runtime/worker_records.h"

namespace overwinter::worker {

struct WorkerLoopParts {
  const Clock* clock = nullptr;
  ComputePool* devices = nullptr;
  ArtifactAccess* artifacts = nullptr;
  CoordinatorLink* link = nullptr;
  WorkerRecords* records = nullptr;
  std::function<GangSeats*()> gangs;  // null, or empty: it takes part in none
  // How a seat that is no gang's works; called on the device's executor.
  std::function<Result<std::unique_ptr<SeatWork>>(const OfferSeat&, Device&, ArtifactAccess&,
                                                  PostInput)>
      make_work = make_seat_work;
  // Called when a Welcome names another generation of the coordinator's store, to keep it. May be
  // empty.
  std::function<void(Generation)> generation_changed;
};

class WorkerLoop {
 public:
  // Everything in `parts` outlives it.
  WorkerLoop(const WorkerCoreConfig& config, WorkerLoopParts parts);
  ~WorkerLoop();  // gives back all seats; executors must still run

  // Thread-safe; never blocks and never refuses: what executors say is bounded by what was started.
  void post(Input input);
  // The same for orders of the coordinator. False: the queue is long; read no more from the stream
  // until `have_room` (set_room_callback) is called.
  [[nodiscard]] bool post_orders(std::vector<Input> inputs);
  void set_room_callback(std::function<void()> have_room);

  // Until the shut-down is complete. Calls turn() as things happen.
  void run();
  // Takes everything that is queued, and the timer when it is due. True when the shut-down is
  // complete.
  bool turn();

  [[nodiscard]] std::size_t seats() const { return core_.seats(); }  // for the loop's thread

 private:
  struct Seat {
    OfferSeat offer;
    std::shared_ptr<SeatWork> work;  // null until it has begun
    bool started = false;            // it was given units
    bool stepped = false;            // of a gang: it has made a step
  };

  [[nodiscard]] Moment now() const;
  void step(const Input& input);
  void measure();
  void carry_out(std::vector<Output>& outputs);
  void begin(const OfferSeat& offer);
  void note_begin(const OfferSeat& offer);
  void start(const StartUnits& order);
  void end(const SeatKey& key);
  void note(const Input& input);
  void note(const Output& output);
  bool carry_out_gang(const Output& output);
  [[nodiscard]] GangSeats* gangs_of(const SeatKey& key) const;
  [[nodiscard]] std::shared_ptr<SeatWork> work_of(const SeatKey& key) const;

  WorkerLoopParts parts_;
  WorkerCore core_;
  std::map<SeatKey, Seat> seats_;  // the loop's thread
  std::uint64_t acknowledged_ = 0;
  bool complete_ = false;

  Mutex mutex_;
  Condition arrived_;
  std::deque<Input> queue_ OW_GUARDED_BY(mutex_);
  std::map<SeatKey, std::shared_ptr<SeatWork>> made_ OW_GUARDED_BY(mutex_);  // begun, not yet taken
  bool wants_room_ OW_GUARDED_BY(mutex_) = false;
  std::function<void()> have_room_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::worker
