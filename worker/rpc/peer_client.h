// PeerClient: asks other hosts' daemons to start ranks. Whether they can be reached: peer_probe.h.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/base/time.h"
#include "worker/runtime/gang_ports.h"

namespace overwinter::worker {

struct PeerClientConfig {
  std::filesystem::path leaf_dir;  // of this worker's certificate
  Duration accept_within{10'000};  // to dial and to be answered
  Duration alive_every{1000};
  Duration lost_after{4000};
};

// Thread-safe.
class PeerClient final : public PeerLaunches {
 public:
  explicit PeerClient(PeerClientConfig config);
  ~PeerClient() override;  // waits for launches that are ending, a few seconds at most

  [[nodiscard]] std::unique_ptr<Launch> launch(
      const PeerLaunchOrder& order, std::function<void(const PeerLaunchEnd&)> ended) override;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace overwinter::worker
