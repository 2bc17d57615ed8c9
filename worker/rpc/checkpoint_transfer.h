// Checkpoints to and from the coordinator's store, over TLS by capability.
#pragma once

#include <functional>
#include <memory>

#include "common/base/time.h"
#include "common/rpc/checkpoint_client.h"
#include "worker/runtime/checkpoint_port.h"

namespace overwinter::worker {

struct CheckpointTransferSetting {
  // The client to use now (it changes with each connection); null: none yet. Of a connection that
  // carries no heartbeats.
  std::function<std::shared_ptr<CheckpointClient>()> client;
  Duration first_pause{100};  // between tries
  Duration longest_pause{5000};
};

class CheckpointTransfer final : public CheckpointPort {
 public:
  explicit CheckpointTransfer(CheckpointTransferSetting setting) : setting_(std::move(setting)) {}

  Status send(const CheckpointAccess& access, std::uint64_t step, std::uint64_t total_bytes,
              std::span<const CheckpointFile> part, const std::filesystem::path& folder,
              std::stop_token stop) override;
  Status commit(const CheckpointAccess& access, const CheckpointManifest& manifest,
                std::stop_token stop) override;
  Status store(const CheckpointAccess& access, const CheckpointManifest& manifest,
               const std::filesystem::path& folder, std::stop_token stop) override;
  Result<RestoredCheckpoint> restore(const CheckpointAccess& access,
                                     const std::filesystem::path& folder,
                                     std::stop_token stop) override;

 private:
  using Attempt = std::function<Status(CheckpointClient&)>;
  [[nodiscard]] Status keep_trying(const CheckpointAccess& access, const std::stop_token& stop,
                                   const Attempt& attempt) const;

  const CheckpointTransferSetting setting_;
};

}  // namespace overwinter::worker
