// RankWork: a training's ranks on this worker. Its inputs and its last checkpoint are brought here,
// Open MPI starts the ranks, and the checkpoints that they write are sent on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "overwinter/v1/job.pb.h"
#include "worker/runtime/checkpoint_sending.h"
#include "worker/runtime/gang_launcher.h"
#include "worker/runtime/gang_members.h"
#include "worker/runtime/gang_work.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

struct RankWorkParts {
  GangPlaces places;
  WorkerId worker;       // this one
  std::string network;   // of this machine's peer address; empty: it has none
  std::string products;  // measured ones, for the ranks; empty: none
  JobFiles* files = nullptr;
  CheckpointPort* checkpoints = nullptr;
  JobLog* log = nullptr;
  GangLauncher* launcher = nullptr;
};

class RankWork final : public GangWork {
 public:
  // All of them outlive it; the launcher has ended the gang before it is destroyed.
  RankWork(GangKey key, RankWorkParts parts, GangWorkObserver& observer);
  RankWork(const RankWork&) = delete;
  RankWork& operator=(const RankWork&) = delete;

  [[nodiscard]] Status prepare(const OfferSeat& offer, const std::stop_token& stop) override;
  [[nodiscard]] Status start(const LaunchGang& order, const std::vector<RankSeat>& seats) override;
  void wind_down() override;
  void kill() override;
  void heard(const GangEvent& event) override;

 private:
  Status fetch_inputs(const OfferSeat& offer, const std::stop_token& stop);
  Status fetch_checkpoint(const OfferSeat& offer, const std::stop_token& stop);
  void add_file(const std::string& name, v1::LocalFile& into) const;
  void progressed(std::uint32_t rank, const v1::RankProgress& progress);
  void tell_points(const v1::RankProgress& progress);
  void tell_line(const v1::RankProgress& progress);
  void log_line(bool error, std::string text) const;
  void store(std::uint32_t rank, const v1::RankCheckpoint& checkpoint);
  void ended(const GangEnded& ended);

  const GangKey key_;
  const RankWorkParts parts_;
  GangWorkObserver& observer_;
  // Of the thread that prepares and starts.
  std::optional<GangFolder> folder_;
  v1::JobSpec spec_;
  v1::RankTask task_;  // what all ranks have in common

  std::chrono::steady_clock::time_point next_line_;  // of the gang's thread
  Mutex mutex_;
  std::vector<GangHost> hosts_ OW_GUARDED_BY(mutex_);
  std::uint64_t step_ OW_GUARDED_BY(mutex_) = 0;  // the furthest of a rank of this worker
  std::atomic<bool> stop_asked_{false};
  CheckpointSending sending_;  // last: it uses the rest
};

}  // namespace overwinter::worker
