// What a seat reads and writes: blocks and tiles by ArtifactService over TLS, or blocks straight
// from the blob's file where the coordinator is on this machine.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/rpc/artifact_client.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

struct ArtifactSetting {
  // The client to use now (it changes with each connection); null: none yet.
  std::function<std::shared_ptr<ArtifactClient>()> client;
  // The descriptor socket now; empty: none.
  std::function<std::string()> descriptor_socket;
  Duration first_pause{100};  // between tries
  Duration longest_pause{2000};
};

class RemoteArtifacts final : public ArtifactAccess {
 public:
  explicit RemoteArtifacts(ArtifactSetting setting) : setting_(std::move(setting)) {}
  [[nodiscard]] Result<std::unique_ptr<SeatArtifacts>> open(const SeatAccess& access) override;

 private:
  const ArtifactSetting setting_;
};

}  // namespace overwinter::worker
