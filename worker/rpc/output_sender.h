// What an exec job leaves, to the coordinator's store, over TLS by capability.
#pragma once

#include <functional>
#include <memory>

#include "common/rpc/artifact_client.h"
#include "worker/rpc/keep_trying.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

class OutputSender final : public JobOutputs {
 public:
  // `client`: the one to use now; null: none yet.
  explicit OutputSender(std::function<std::shared_ptr<ArtifactClient>()> client,
                        Retrying retrying = {})
      : client_(std::move(client)), retrying_(retrying) {}

  // Sent from its beginning at each try; the file must not change meanwhile. A coordinator whose
  // disk is full is tried again too: a stop is what bounds it. ABORTED: the seat has ended, or a
  // later attempt has put its own. INVALID_ARGUMENT: larger than may be stored.
  Status put(const Order& order, std::stop_token stop) override;

 private:
  const std::function<std::shared_ptr<ArtifactClient>()> client_;
  const Retrying retrying_;
};

}  // namespace overwinter::worker
