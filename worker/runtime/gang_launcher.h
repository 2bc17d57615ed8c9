// GangLauncher: the gangs that this daemon runs a part of. Several at once.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "worker/runtime/gang_events.h"
#include "worker/runtime/gang_folder.h"
#include "worker/runtime/gang_order.h"
#include "worker/runtime/gang_part.h"
#include "worker/runtime/gang_ports.h"

namespace overwinter::worker {

// What another daemon asks for (peer.proto). `from` is its certificate's word, never the request's.
struct RemoteLaunchRequest {
  GangKey key;
  WorkerId from;
  std::string token;
  std::vector<std::string> words;
};

// Thread-safe; every call returns at once, but the destructor, which ends all gangs here and waits.
class GangLauncher {
 public:
  static constexpr std::size_t kGangsMax = 64;

  // Sweeps what an earlier daemon left. Ports and observer outlive the launcher.
  GangLauncher(GangPlaces places, GangPrograms programs, PeerLaunches& peers,
               GangObserver& observer);
  ~GangLauncher();
  GangLauncher(const GangLauncher&) = delete;
  GangLauncher& operator=(const GangLauncher&) = delete;

  // The coordinator's order for this host. The first host begins; another expects the first one's
  // launch from now on. After success a GangEnded comes, always. ALREADY_EXISTS for a gang that
  // runs here.
  Status start(GangOrder order);

  // Another daemon's launch. PERMISSION_DENIED unless exactly this was announced: the gang, the
  // daemon, the token (once), in time. `ended` is called once if it was accepted, from the gang's
  // thread.
  Status begin_remote(const RemoteLaunchRequest& request, GangPart::RemoteEnded ended);
  // The stream that it came by is over. `why`: what is wrong; empty when it was asked to end.
  void end_remote(const GangKey& key, const std::string& why);

  // For unknown or ended gangs nothing happens.
  void ask_ranks(const GangKey& key, v1::RankStop::How how);
  void checkpoint_kept(const GangKey& key, std::uint32_t rank, const v1::CheckpointKept& answer);
  void end(const GangKey& key, Duration grace);
  // Gangs of which something is still here.
  [[nodiscard]] std::vector<GangKey> running() const;

 private:
  struct Gang {
    std::unique_ptr<GangPart> part;
    bool token_used = false;
    SteadyTime launch_until;
  };
  template <class Call>
  void with(const GangKey& key, const Call& call);
  std::vector<std::unique_ptr<GangPart>> take_finished() OW_REQUIRES(mutex_);

  const GangPlaces places_;
  const GangPrograms programs_;
  PeerLaunches& peers_;
  GangObserver& observer_;
  mutable Mutex mutex_;
  std::map<GangKey, Gang> gangs_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::worker
