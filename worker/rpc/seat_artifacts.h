// What a seat reads and writes: blocks and tiles by ArtifactService over TLS, or blocks straight
// from the blob's file where the coordinator is on this machine.
#pragma once

#include <filesystem>
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
  // Whether the coordinator is there; empty: always.
  std::function<bool()> connected = {};
  std::filesystem::path spool_folder = {};  // empty: finished tiles wait in memory alone
};

class RemoteArtifacts final : public ArtifactAccess {
 public:
  explicit RemoteArtifacts(ArtifactSetting setting) : setting_(std::move(setting)) {}
  [[nodiscard]] Result<std::unique_ptr<SeatArtifacts>> open(const SeatAccess& access) override;
  [[nodiscard]] std::filesystem::path spool_folder() const override {
    return setting_.spool_folder;
  }

 private:
  const ArtifactSetting setting_;
};

}  // namespace overwinter::worker
