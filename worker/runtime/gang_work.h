// GangWork: what one worker does for one attempt of a gang, between its seats' grant and their end:
// ranks of ours over Open MPI (rank_work.h) or the user's own programs (exec_work.h).
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "worker/core/input.h"
#include "worker/runtime/checkpoint_port.h"
#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

// Of a seat: now, and at most.
struct MemoryUse {
  std::uint64_t used_bytes = 0;
  std::uint64_t peak_bytes = 0;
  friend bool operator==(const MemoryUse&, const MemoryUse&) = default;
};

// What is told of it. From any thread; never blocks.
class GangWorkObserver {
 public:
  virtual ~GangWorkObserver() = default;
  // What prepares it has said something: it is no stall.
  virtual void preparing() = 0;
  virtual void up(std::uint32_t rank) = 0;
  // A sign that it moves; `step` may be the same as before.
  virtual void moved(std::uint32_t rank, std::uint64_t step) = 0;
  // No sign that it moves. That it holds nothing any more need not be said: over() says it.
  virtual void measured(std::uint32_t rank, const MemoryUse& use) = 0;
  // The peer port of another member did not answer; over() follows.
  virtual void unreachable(WorkerId worker, const std::string& why) = 0;
  // Nothing of it runs here any more. The seat is not filled in: it holds for all of this worker.
  virtual void over(const GangSeatExited& how) = 0;
  // In whose name it speaks.
  [[nodiscard]] virtual CheckpointAccess access() const = 0;
};

// A seat of this worker, with its place in the gang.
struct RankSeat {
  std::uint32_t rank = 0;
  DeviceIndex device = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t threads = 0;
};

// Used by one thread but for heard(); prepare() comes first, then start(), both once. The
// destructor ends what is left, waits, and removes its files.
class GangWork {
 public:
  virtual ~GangWork() = default;
  // Brings what it needs to this machine. Blocks; CANCELLED after a stop.
  [[nodiscard]] virtual Status prepare(const OfferSeat& offer, const std::stop_token& stop) = 0;
  // After success over() is told, once.
  [[nodiscard]] virtual Status start(const LaunchGang& order,
                                     const std::vector<RankSeat>& seats) = 0;

  // Return at once.
  virtual void wind_down() = 0;  // it shall write a checkpoint and end
  virtual void kill() = 0;
  // What the launcher says, to work that uses it. From any thread.
  virtual void heard(const GangEvent& /*event*/) {}
};

}  // namespace overwinter::worker
