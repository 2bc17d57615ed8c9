// Blobs of a seat into files, over TLS by capability.
#pragma once

#include <functional>
#include <memory>

#include "common/rpc/artifact_client.h"
#include "worker/rpc/keep_trying.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

class JobFileReader final : public JobFiles {
 public:
  // `client`: the one to use now; null: none yet.
  explicit JobFileReader(std::function<std::shared_ptr<ArtifactClient>()> client,
                         Retrying retrying = {})
      : client_(std::move(client)), retrying_(retrying) {}

  Status fetch(const std::function<std::string()>& capability, const Digest& digest,
               const std::filesystem::path& folder, const std::string& name,
               std::stop_token stop) override {
    return keep_trying(retrying_, stop, [&] {
      const auto client = client_();
      return client ? client->read_blob(capability(), digest, folder, name, stop)
                    : error(Code::kUnavailable, "not connected");
    });
  }

 private:
  const std::function<std::shared_ptr<ArtifactClient>()> client_;
  const Retrying retrying_;
};

}  // namespace overwinter::worker
